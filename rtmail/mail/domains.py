"""Whose domain is it: organisational domains, and the providers whose domains say nothing about a sender's employer.

Two people at one company domain are colleagues; two people at gmail.com are strangers. desk asks here before it lets a
shared domain open anything, so a doubtful domain counts as public.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from rtmail.mail.site import Site

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_INTERNATIONAL = """
    gmail.com googlemail.com outlook.com hotmail.com live.com msn.com passport.com yahoo.com ymail.com rocketmail.com myyahoo.com
    icloud.com me.com mac.com privaterelay.appleid.com aol.com aim.com proton.me protonmail.com protonmail.ch pm.me passmail.net
    tutanota.com tutanota.de tutamail.com tuta.io tuta.com keemail.me fastmail.com fastmail.fm fastmail.net messagingengine.com zoho.com
    zohomail.com zohomail.eu mail.com email.com usa.com consultant.com engineer.com europe.com post.com dr.com inbox.com gmx.com
    hushmail.com hush.com mailbox.org posteo.net posteo.de disroot.org riseup.net runbox.com startmail.com mailfence.com countermail.com
    ctemplar.com skiff.com hey.com duck.com mozmail.com relay.firefox.com simplelogin.com simplelogin.co aleeas.com anonaddy.com
    anonaddy.me addy.io lycos.com excite.com rediffmail.com juno.com netzero.net googlegroups.com groups.io mailinator.com
    guerrillamail.com sharklasers.com yopmail.com 10minutemail.com temp-mail.org trashmail.com maildrop.cc onmail.com mail2world.com
    safe-mail.net cock.li airmail.cc vivaldi.net atomicmail.io murena.io e.email
"""
_MICROSOFT_AND_YAHOO = """
    outlook.de outlook.fr outlook.es outlook.it outlook.at outlook.be outlook.dk outlook.ie outlook.pt outlook.jp outlook.kr outlook.in
    outlook.sa outlook.com.br outlook.com.ar outlook.com.au outlook.com.gr outlook.com.tr outlook.com.vn outlook.cl outlook.co.id
    outlook.co.il outlook.co.th outlook.cz outlook.hu outlook.lv outlook.my outlook.ph outlook.sg outlook.sk hotmail.de hotmail.fr
    hotmail.es hotmail.it hotmail.co.uk hotmail.be hotmail.nl hotmail.se hotmail.no hotmail.dk hotmail.fi hotmail.ch hotmail.ca
    hotmail.gr hotmail.co.jp hotmail.co.th hotmail.com.ar hotmail.com.br hotmail.com.tr hotmail.com.au live.de live.fr live.it live.nl
    live.be live.se live.no live.dk live.fi live.at live.ca live.cn live.jp live.ie live.co.uk live.com.au live.com.ar live.com.mx
    live.com.pt live.ru windowslive.com yahoo.de yahoo.fr yahoo.es yahoo.it yahoo.gr yahoo.ie yahoo.in yahoo.ca yahoo.cn yahoo.dk
    yahoo.no yahoo.se yahoo.nl yahoo.pl yahoo.ro yahoo.co.uk yahoo.co.in yahoo.co.id yahoo.co.jp yahoo.co.kr yahoo.co.nz yahoo.co.th
    yahoo.co.za yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.cn yahoo.com.co yahoo.com.hk yahoo.com.mx yahoo.com.my yahoo.com.ph
    yahoo.com.sg yahoo.com.tr yahoo.com.tw yahoo.com.vn yahoo.ne.jp
"""
_GERMAN = """
    gmx.de gmx.net gmx.at gmx.ch gmx.eu gmx.org gmx.info web.de email.de freenet.de freenetmail.de t-online.de magenta.de arcor.de
    online.de 1und1.de vodafone.de vodafonemail.de kabelmail.de unitybox.de o2mail.de o2online.de alice.de alice-dsl.net mail.de
    mailo.de ewe.net ewetel.net osnanet.de versanet.de netcologne.de unity-mail.de firemail.de aikq.de systemli.org aon.at chello.at
    a1.net kabsi.at drei.at utanet.at liwest.at inode.at bluewin.ch sunrise.ch hispeed.ch swissonline.ch netplus.ch gmx.li
"""
_WESTERN_EUROPE = """
    orange.fr wanadoo.fr free.fr sfr.fr neuf.fr laposte.net bbox.fr numericable.fr aliceadsl.fr club-internet.fr cegetel.net mailo.com
    gmx.fr skynet.be telenet.be proximus.be scarlet.be voo.be ziggo.nl kpnmail.nl planet.nl home.nl xs4all.nl hetnet.nl casema.nl
    upcmail.nl pt.lu vo.lu telefonica.net terra.es ono.com gmx.es sapo.pt iol.pt clix.pt netcabo.pt meo.pt libero.it virgilio.it tin.it
    alice.it tiscali.it inwind.it iol.it tim.it fastwebnet.it aruba.it email.it pec.it poste.it vodafone.it
"""
_NORTHERN_EUROPE = """
    btinternet.com btopenworld.com bt.com talktalk.net sky.com virginmedia.com virgin.net ntlworld.com blueyonder.co.uk plusnet.com
    o2.co.uk tiscali.co.uk gmx.co.uk eircom.net vodafone.ie telia.com bredband.net comhem.se spray.se passagen.se online.no c2i.net
    broadpark.no tele2.no tdcadsl.dk stofanet.dk mail.dk jubii.dk kolumbus.fi elisanet.fi saunalahti.fi luukku.com suomi24.fi simnet.is
"""
_CENTRAL_EUROPE = """
    wp.pl o2.pl onet.pl onet.eu op.pl poczta.onet.pl interia.pl interia.eu poczta.fm gazeta.pl tlen.pl vp.pl autograf.pl seznam.cz
    email.cz post.cz centrum.cz atlas.cz volny.cz azet.sk centrum.sk zoznam.sk post.sk pobox.sk freemail.hu citromail.hu indamail.hu
    t-online.hu vipmail.hu siol.net net.hr inet.hr eunet.rs sbb.rs abv.bg mail.bg dir.bg inbox.lv inbox.lt mail.ee delfi.lv one.lt
    hot.ee otenet.gr forthnet.gr in.gr mynet.com superonline.com ttmail.com
"""
_EASTERN_EUROPE = """
    ukr.net i.ua meta.ua bigmir.net online.ua email.ua 3g.ua mail.ru bk.ru list.ru inbox.ru internet.ru xmail.ru yandex.ru yandex.com
    yandex.ua yandex.by yandex.kz ya.ru rambler.ru lenta.ru ro.ru autorambler.ru myrambler.ru hotbox.ru pochta.ru nm.ru e1.ru vk.com
    tut.by mail.kz mail.md
"""
_ASIA_AND_PACIFIC = """
    qq.com foxmail.com vip.qq.com 163.com vip.163.com 126.com yeah.net 188.com sina.com sina.cn vip.sina.com sohu.com 139.com 189.cn
    wo.cn 21cn.com tom.com aliyun.com 263.net chinaren.com hinet.net pchome.com.tw seed.net.tw netvigator.com naver.com hanmail.net
    daum.net kakao.com nate.com korea.com dreamwiz.com docomo.ne.jp ezweb.ne.jp au.com softbank.ne.jp i.softbank.jp nifty.com
    biglobe.ne.jp so-net.ne.jp ocn.ne.jp infoseek.jp excite.co.jp sify.com indiatimes.com in.com vsnl.net singnet.com.sg starhub.net.sg
    streamyx.com tm.net.my bigpond.com bigpond.net.au optusnet.com.au iinet.net.au tpg.com.au internode.on.net ozemail.com.au
    dodo.com.au xtra.co.nz slingshot.co.nz walla.com walla.co.il bezeqint.net netvision.net.il 012.net.il emirates.net.ae maktoob.com
"""
_AMERICAS_AND_AFRICA = """
    comcast.net xfinity.com verizon.net att.net sbcglobal.net bellsouth.net ameritech.net pacbell.net swbell.net prodigy.net cox.net
    charter.net spectrum.net roadrunner.com rr.com twc.com earthlink.net mindspring.com optonline.net optimum.net frontier.com
    frontiernet.net windstream.net centurylink.net centurytel.net embarqmail.com suddenlink.net cableone.net netscape.net rcn.com
    rogers.com bell.net sympatico.ca shaw.ca telus.net videotron.ca cogeco.ca eastlink.ca sasktel.net mts.net uol.com.br bol.com.br
    terra.com.br ig.com.br globo.com globomail.com oi.com.br zipmail.com.br r7.com prodigy.net.mx fibertel.com.ar arnet.com.ar
    speedy.com.ar ciudad.com.ar une.net.co adinet.com.uy mweb.co.za telkomsa.net vodamail.co.za webmail.co.za iafrica.com lantic.net
    menara.ma
"""

PUBLIC_DOMAINS = frozenset(
    " ".join(
        (
            _INTERNATIONAL, _MICROSOFT_AND_YAHOO, _GERMAN, _WESTERN_EUROPE, _NORTHERN_EUROPE, _CENTRAL_EUROPE, _EASTERN_EUROPE,
            _ASIA_AND_PACIFIC, _AMERICAS_AND_AFRICA,
        )
    ).split()
)
"""Mail providers open to anyone, by where they are at home; `[site] public_domains` adds to them."""


def organisational_domain(domain: str) -> str:
    """Return the registrable domain: "mail.acme.co.uk" gives "acme.co.uk" (RFC 7489 3.2, by the public suffix list).

    A domain that has none (a public suffix, a host without a dot) is returned as it is, in lower case.
    """
    lowered = domain.lower().strip(".")
    return _suffixes().privatesuffix(lowered) or lowered


def is_public_domain(domain: str, site: Site) -> bool:
    """Tell whether anybody can have an address at `domain`: a listed provider, a domain below one, or a public suffix."""
    lowered = domain.lower().strip(".")
    labels = lowered.split(".")
    above = {".".join(labels[start:]) for start in range(len(labels))}
    if above & PUBLIC_DOMAINS or above & {public.lower() for public in site.public_domains}:
        return True
    return _suffixes().privatesuffix(lowered) is None


def same_organisation_domain(a: str, b: str, site: Site) -> bool:
    """Tell whether `a` and `b`, domains or addr-specs, share an organisational domain that is not public."""
    first, second = a.rpartition("@")[2], b.rpartition("@")[2]
    if is_public_domain(first, site) or is_public_domain(second, site):
        return False
    return organisational_domain(first) == organisational_domain(second)


@cache
def _suffixes() -> PublicSuffixList:
    # Reading the bundled list takes 0.1 s and some MB: only once, and only where a domain is compared.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
