"""What mail clients write around other people's words, by language: prefixes, reply lines, header blocks, dividers, signatures.

Data only; `history`, `signature` and `quoting` give it its meaning. Collected from Gmail, Outlook (desktop, web, mobile),
Apple Mail, Thunderbird, Yahoo, ProtonMail, Lotus Notes, Zoho, mail.ru, GMX and phones in their languages.
"""

from __future__ import annotations


def _listed(text: str) -> tuple[str, ...]:
    """Return the entries of a "a | b | c" list, which may run over lines."""
    return tuple(" ".join(entry.split()) for entry in text.split("|") if entry.strip())


REPLY_PREFIXES: tuple[str, ...] = _listed(
    """
    re | aw | antw | antwort | sv | svar | vs | odp | odg | ref | rif | r | res | resp | rép | rep | réf | vá | ynt |
    cvp | bls | balas | atb | ats | απ | σχετ | отв | ответ | відп | отг | на | vast | vb re | tl | 回复 | 回覆 | 答复 |
    答覆 | 返信 | 회신 | 답장 | ตอบ | ตอบกลับ | רד | השב | תגובה | رد
    """
)
"""Before the colon of an answer's subject, lower case. "VS" is Finnish for an answer and Danish for a forward; answers are commoner."""

FORWARD_PREFIXES: tuple[str, ...] = _listed(
    """
    fw | fwd | wg | tr | rv | enc | i | vb | vl | doorst | pd | fs | videres | ilt | i̇lt | προωθ | πρθ | trs |
    továbbítás | пер | пересл | перенапр | 转发 | 轉寄 | 轉發 | 転送 | 전달 | fwd re | הועבר | إعادة توجيه | ส่งต่อ |
    předat | prosl | ct
    """
)

WROTE: tuple[str, ...] = _listed(
    """
    wrote | writes | said | schrieb | schrieb am | geschrieben | hat geschrieben | a écrit | a ecrit | écrivait |
    escribió | escribio | ha escrito | va escriure | escrigué | escreveu | ha scritto | scrisse | schreef | geschreven |
    skrev | skrifaði | kirjoitti | napisał | napisała | napisał(a) | pisze | napsal | napsala | napsal(a) | napísal |
    napísala | napísal(a) | napisao | napisala | je napisao | je napisala | piše | написал | написала | написал(а) |
    писал | пишет | пише | написав | написала(в) | писав | написа | írta | írt | yazdı | şunu yazdı | şunları yazdı |
    έγραψε | a scris | kirjutas | rakstīja | parašė | rašė | idatzi du | 写道 | 寫道 | 写了 | 写到 | さんは書きました |
    さんが書きました | 書きました | wrote in message | 작성 | 님이 작성 | đã viết | viết | menulis | เขียน | เขียนว่า | כתב | כתבה |
    כתב/ה | كتب | كتبت | نوشت | ने लिखा | a envoyé | شما نوشتید
    """
)
"""The verb of a reply line; it may stand before the date ("schrieb am Fr., 28. Apr.") or at the end."""

OPENERS: tuple[str, ...] = _listed(
    """
    on | at | in a message dated | in article | am | le | el | em | op | il | il giorno | den | dne | dnia | w dniu |
    dana | la data de | la | în | pe | på | kl | на | в | от | у | στις | el dia | vào | pada | เมื่อ | ב | בתאריך | في |
    در | tarihinde | с | kuupäeval | a(z) | no dia | у вт | ons | fre | tis | tors | dt | lør | søn | man | tir | tor |
    ti | ke | to | su | ma
    """
)

HEADER_LABELS: dict[str, tuple[str, ...]] = {
    "from": _listed(
        """
        from | von | de | da | van | från | fra | frå | lähettäjä | od | od koho | от | от кого | від | від кого |
        feladó | kimden | gönderen | από | de la | expéditeur | mittente | remitente | remetente | afzender | avsändare |
        afsender | avsender | nadawca | odesílatel | odosielateľ | absender | отправитель | 发件人 | 寄件者 | 寄件人 |
        差出人 | 送信者 | 보낸 사람 | 보낸사람 | từ | người gửi | dari | จาก | מאת | من | saatja | no | sūtītājs | nuo |
        siuntėjas | pošiljatelj | šalje | kimdən | frá | nork
        """
    ),
    "date": _listed(
        """
        date | sent | sent at | datum | gesendet | gesendet am | date d'envoi | envoyé | envoyé le | envoyé à | enviado |
        enviado el | enviada em | enviado em | fecha | data | inviato | data invio | verzonden | skickat | sendt | dato |
        lähetetty | päivämäärä | päiväys | wysłano | data wysłania | wysłane | odesláno | odoslané | dátum | elküldve |
        küldve | дата | отправлено | дата отправки | надіслано | дата надсилання | изпратено | gönderildi | tarih |
        gönderme tarihi | ημερομηνία | στάλθηκε | εστάλη | trimis | dată | 发送时间 | 发送日期 | 日期 | 时间 | 傳送時間 |
        寄件日期 | 送信日時 | 送信日 | 日付 | 날짜 | 보낸 날짜 | 보낸날짜 | đã gửi | ngày | tanggal | terkirim | วันที่ |
        ส่ง | נשלח | תאריך | التاريخ | تم الإرسال | تاريخ الإرسال | poslano | poslato | saadetud | kuupäev | nosūtīts |
        išsiųsta | received | sendt dato | timestamp | sendi
        """
    ),
    "to": _listed(
        """
        to | an | à | a | pour | para | per | aan | till | til | vastaanottaja | kenelle | do | komu | pro | кому | до |
        címzett | kime | alıcı | προς | către | destinataire | destinatario | destinatário | 收件人 | 收件者 | 宛先 |
        받는 사람 | 받는사람 | đến | tới | kepada | ถึง | אל | إلى | za | prima | adresat | saaja | kellele | kam | kam: |
        kas | gavėjas | odbiorca | empfänger
        """
    ),
    "cc": _listed(
        """
        cc | kopie | kopia | kopi | copie | copia | cópia | kópia | копия | копія | másolatot kap | bilgi | κοιν |
        κοινοποίηση | dw | 抄送 | 副本 | 참조 | đồng gửi | สำเนา | עותק | نسخة | k | kópie | kopio | c c | koopia
        """
    ),
    "bcc": _listed(
        """
        bcc | cco | cci | ccn | bilagskopi | blindkopie | udw | skrytá kopie | 密件抄送
        """
    ),
    "reply-to": _listed(
        """
        reply-to | reply to | antwort an | antworten an | répondre à | responder a | risposta | rispondi a |
        antwoord aan | svara till | svar til | odpowiedź do | odpovědět | ответить | 响应 | 回复 | 返信先 | 답장
        """
    ),
    "subject": _listed(
        """
        subject | betreff | betrifft | objet | sujet | asunto | assunto | oggetto | onderwerp | ämne | emne | aihe |
        temat | předmět | predmet | тема | относно | tárgy | konu | θέμα | subiect | 主题 | 主旨 | 主題 | 件名 | 제목 |
        chủ đề | tiêu đề | subjek | perihal | เรื่อง | נושא | الموضوع | teema | temats | tema | assumpte | efni | gaia |
        naslov | zadeva
        """
    ),
    "other": _listed(
        """
        importance | priority | wichtigkeit | priorität | prioridad | attachments | anlagen | pièces jointes |
        organization
        """
    ),
}
"""Labels of the block that Outlook and others put above history, lower case, by what they tell."""

ORIGINAL_DIVIDERS: tuple[str, ...] = _listed(
    """
    original message | original messages | original email | reply message | ursprüngliche nachricht |
    ursprungliche nachricht | originalnachricht | original-nachricht | ursprungsnachricht | message d'origine |
    message original | message initial | courriel original | mensaje original | mensagem original | messaggio originale |
    messaggio originario | oorspronkelijk bericht | origineel bericht | oorspronkelijke bericht |
    ursprungligt meddelande | originalmeddelande | ursprungligt brev | oprindelig meddelelse | original meddelelse |
    opprinnelig melding | alkuperäinen viesti | wiadomość oryginalna | oryginalna wiadomość | treść oryginalna |
    původní zpráva | původní e-mail | pôvodná správa | eredeti üzenet | mesaj original | mesajul original |
    исходное сообщение | оригинальное сообщение | первоначальное сообщение | вихідне повідомлення |
    оригінальне повідомлення | початкове повідомлення | оригинално съобщение | αρχικό μήνυμα | orijinal mesaj |
    özgün ileti | original melding | izvirno sporočilo | izvorna poruka | originalna poruka | 原始邮件 | 原始郵件 |
    原邮件 | 邮件原件 | 元のメッセージ | original-mail | 원본 메시지 | 원본 메일 | tin nhắn gốc | thư gốc | pesan asli |
    הודעה מקורית | الرسالة الأصلية | missatge original | upprunaleg skilaboð | jatorrizko mezua | algne kiri |
    sākotnējais ziņojums | originalus laiškas
    """
)

FORWARD_DIVIDERS: tuple[str, ...] = _listed(
    """
    forwarded message | begin forwarded message | forwarded by | weitergeleitete nachricht | weitergeleitete e-mail |
    anfang der weitergeleiteten nachricht | anfang der weitergeleiteten e-mail | message transféré | message transmis |
    début du message réexpédié | début du message transféré | mensaje reenviado | inicio del mensaje reenviado |
    mensagem encaminhada | mensagem reencaminhada | início da mensagem encaminhada | início da mensagem reencaminhada |
    messaggio inoltrato | inizio messaggio inoltrato | doorgestuurd bericht | begin doorgestuurd bericht |
    vidarebefordrat meddelande | vidarebefordrat brev | vidarebefordrat mejl | börja på vidarebefordrat meddelande |
    videresendt meddelelse | start på videresendt besked | videresendt melding | begynnelsen på videresendt melding |
    videresendt besked | edelleenlähetetty viesti | välitetty viesti | välitetty viesti alkaa | wiadomość przekazana |
    przekazana wiadomość | treść przekazanej wiadomości | przesłana wiadomość | początek przekazywanej wiadomości |
    přeposlaná zpráva | začátek přeposlané zprávy | preposlaná správa | továbbított üzenet | továbbított levél |
    mesaj redirecționat | mesaj redirectionat | пересылаемое сообщение | пересланное сообщение |
    начало переадресованного сообщения | переслане повідомлення | початок пересланого повідомлення |
    переадресоване повідомлення | препратено съобщение | προωθημένο μήνυμα | iletilmiş mesaj | yönlendirilmiş ileti |
    yönlendirilen ileti | proslijeđena poruka | posredovano sporočilo | 转发的邮件 | 转发邮件 | 下面是转发邮件 |
    轉寄郵件 | 轉寄的郵件 | 已轉寄的郵件 | 転送メッセージ | 転送されたメッセージ | 전달된 메시지 | 전달된 메일 |
    thư đã chuyển tiếp | pesan terusan | pesan yang diteruskan | ข้อความที่ส่งต่อ | הודעה שהועברה | رسالة مُعاد توجيهها |
    رسالة معاد توجيهها | missatge reenviat | áframsent
    """
)

_GADGETS = (
    r"(?:mail|mobile|phone|cell|outlook|yahoo|proton ?mail|gmail|aol|airmail|mailbox|spark|blackberry|"
    r"nine|samsung|galaxy|android|i?phone|ipad|ipod|windows|verizon|"
    r"at&t|htc|nokia|huawei|xiaomi|oneplus|pixel|thunderbird|k-9|fairemail|bluemail|superhuman|canary|newton|"
    r"smartphone|tablet|handheld|gmx|web\.de|ti-85)"
)

MOBILE_SIGNATURES: tuple[str, ...] = (
    rf"[(<]{{0,2}}(?:sent|written|typed) (?:from|via|with|using|on|by) (?:my |the |a |an )?\[?{_GADGETS}\b",
    r"sent (?:from|via) (?:my|a|an) (?:(?!to |and |from |with |at |is |was |the )[\w.'’-]+ ){0,4}"
    r"(?:\w*(?:phone|pad|pod|berry|machine|tablet|device|droid|flash2|watch)|pc|mac|pixels)\b",
    rf"from my {_GADGETS}\b",
    r"ᐧ$",
    r"get \[?(?:outlook|bluemail) for",
    r"(?:(?:holen sie sich |laden sie )?outlook für|télécharger outlook pour|obtener outlook para|"
    r"obter o outlook para|scarica outlook per)",
    r"(?:outlook voor|hämta outlook för|hent outlook til|hanki outlook|pobierz (?:aplikację |program )?outlook|získat outlook|"
    r"отрима(?:ти|йте) outlook|завантажити outlook|получить outlook|скачать outlook|outlook'u edin|αποκτήστε το outlook|"
    r"获取 ?outlook|下载 ?outlook|取得 ?outlook|(?:дізнайтеся про )?outlook для)",
    r"outlook for (?:ios|android) ?(?:を入手|다운로드|가져오기|を取得)",
    r"sent with (?:secure email from |\[?)?proton ?mail",
    r"(?:von meinem?|gesendet von|gesendet mit|gesendet vom|von unterwegs)(?: mein\w*| der|"
    r" dem)? (?:i?phone|ipad|ipod|handy|smartphone|mobil\w*|android\w*|samsung\w*|"
    r"galaxy\w*|blackberry\w*|tablet|outlook|mail|yahoo\w*|gmx|web\.de|windows\w*|huawei\w*)",
    rf"(?:gesendet (?:mit|von|vom|aus)(?: mein\w*| der| dem)?|von meine[mr](?:/meine[mr])?) (?:telekom )?{_GADGETS}\b[\w-]*",
    r"(?:von unterwegs|mobil|vom handy) (?:gesendet|geschrieben)\.?$",
    r"(?:diese|eine) nachricht wurde von meinem .{3,60} gesendet\.?$",
    r"envoy[eé] (?:de|depuis|à partir de|avec) (?:mon |ma |l'|le |la |un )?(?:i?phone|ipad|ipod|mobile|"
    r"portable|smartphone|téléphone|tablette|android|"
    r"samsung|galaxy|blackberry|outlook|yahoo|courrier|appareil|proton ?mail)\b",
    r"enviado (?:desde|do|de|a partir do|con|via) (?:mi |meu |el |o )?(?:i?phone|ipad|ipod|móvil|movil|"
    r"celular|telemóvel|smartphone|android|samsung|galaxy|"
    r"blackberry|outlook|yahoo|correo|email|dispositivo)\b",
    r"inviato (?:da|dal|dal mio|da mio|con)(?: mio)? ?(?:i?phone|ipad|ipod|cellulare|smartphone|telefono|"
    r"dispositivo|android|samsung|galaxy|blackberry|"
    r"outlook|yahoo|posta|libero)\b",
    r"(?:verzonden|verstuurd) (?:vanaf|met|via|vanuit) (?:mijn |m'n |een )?(?:i?phone|ipad|ipod|mobiel\w*|"
    r"smartphone|telefoon|android|samsung|galaxy|"
    r"blackberry|outlook|yahoo|mail)\b",
    r"skickat från (?:min |mitt )?(?:i?phone|ipad|ipod|mobil\w*|android\w*|samsung\w*|outlook|yahoo|e-post)\b",
    r"sendt fra (?:min |mit |mitt )?(?:i?phone|ipad|ipod|mobil\w*|android\w*|samsung\w*|outlook|yahoo|mail)\b",
    r"lähetetty (?:i?phonesta|ipadista|i?phonestani|puhelimestani|android\w*|samsung\w*|outlook\w*)",
    r"wysłan[eo] (?:z|ze) (?:mojego |urządzenia |programu |aplikacji )?(?:i?phone['’]?\w*|ipad['’]?\w*|telefonu|"
    r"smartfon\w*|android\w*|samsung\w*|outlook\w*|mobiln\w*)",
    r"odesláno z (?:mého )?(?:i?phon\w*|ipad\w*|mobil\w*|telefonu|android\w*|outlook\w*|aplikace)",
    r"odoslané z (?:môjho )?(?:i?phon\w*|ipad\w*|mobil\w*|telefónu|android\w*|outlook\w*)",
    r"(?:отправлено|отправлен|послано) (?:с|из|от) (?:моего |мобильн\w* |почты |приложения )?(?:i?phone|"
    r"ipad|айфона|телефона|смартфона|android|samsung|"
    r"outlook|яндекс\w*|mail|почты|mail\.ru|мобильн\w*)",
    r"(?:надіслано|відправлено) (?:з|із|зі) (?:мого |мобільн\w* |пошти )?(?:i?phone|ipad|айфона|"
    r"телефон[ау]|смартфон[ау]|android|samsung|outlook|"
    r"ukr\.net|мобільн\w*|пристрою|пошти)",
    rf"(?:надіслано|відправлено) (?:через|(?:з|із|зі|за допомогою)(?: моєї| застосунку| додатк[ау])?) {_GADGETS}\b",
    r"изпратено от (?:моя |моят )?(?:i?phone|ipad|телефон|android)",
    r"trimis de pe (?:i?phone|ipad|telefon|android)",
    r"(?:i?phone|ipad|telefon|android|samsung)\w*'?(?:umdan|imden|dan|den|ımdan) gönderildi",
    r"στάλθηκε από (?:το )?(?:i?phone|ipad|κινητό|android)",
    r"küldve (?:az )?(?:i?phone|ipad|android)\w*",
    r"(?:從我的|从我的|发自我的|發自我的|來自我的|来自我的) ?[\w -]{1,20}(?: ?(?:傳送|传送|发送|發送))?$",
    r"(?:iphone|ipad|android|スマートフォン)から送信",
    r"나의 (?:iphone|ipad)에서 보냄",
    r"نشر من (?:iphone|ipad|android)",
    r"أُرسلت من (?:الـ )?(?:iphone|ipad)",
    r"נשלח מה-?(?:iphone|ipad|android)",
)
"""How the lines begin that phones and clients write below a mail, as patterns; `SIGNATURE_WORDS` may follow."""

SIGNATURE_WORDS: frozenset[str] = frozenset(
    _listed(
        """
        for | on | my | the | a | an | with | via | using | from | app | mobile | mail | email | phone | device |
        smartphone | tablet | wireless | network | lte | 4g | 5g | windows | android | ios | mac | iphone | ipad | ipod |
        galaxy | samsung | pro | max | plus | mini | handheld | work | gesendet | verschickt | handy | mit | der | dem |
        meinem | meiner | geschrieben | secure | für | pour | para | per | voor | för | til | de | sur | mon | mobil |
        gönderildi | desde | do | da | con | el | la | mi | meu | dal | mio | op | mijn | min | pc | tv | downloaden | dla |
        systemu | для | pre | edinin | を入手 | auf | мого | додатка | додатку | застосунка | застосунку | телефону | смартфону |
        пристрою | пристроїв | мобільних | пошти | приложения | почты | мобильных | устройств
        """
    )
)
"""Words that may follow such a beginning besides names (in capitals) and numbers; anything else makes the line a sentence."""

COMMANDS: frozenset[str] = frozenset(_listed(
    """
    accept | ack | acknowledge | addadmincc | addcc | addrefersto | addrequestor | addwatcher | admincc | affected | affects
    | appeal | ask | away | back | begins | bug | bugs | close | comment | deladmincc | delcc | delrequestor | delwatcher |
    due | emergency | ends | erase | eta | field | fixed | for | got | handover | handoverto | help | history | impact |
    incident | list | maintenance | merge | mergeinto | mute | next | nextupdate | owner | prio | problem | queue |
    reclassify | redact | redirect | reference | refersto | reject | related | relatedto | release | removecc | reopen |
    requestor | resolve | same | search | serve | severity | show | snooze | spam | split | spread | starts | status | steal
    | take | time | timeworked | undo | unmute | unsubscribe | untake | unwatch | updateevery | wait | watch
    """
))
"""How commands begin, as letters alone, but for what begins a client's header lines too."""

CLOSINGS: str = (
    r"(?:with )?(?:(?:best|kind|kindest|warm|warmest|many) )?regards|best wishes|(?:yours )?sincerely(?: yours)?|"
    r"yours (?:truly|faithfully)|cheers|br|"
    r"(?:mit )?(?:freundliche|beste|herzliche|viele|liebe|schöne)[nmr]? (?:grü(?:ß|ss)en?|gru(?:ß|ss))(?: aus \w+)?|mfg|vg|lg|"
    r"(?:з|із) (?:(?:найкращими|щирою|глибокою) )?(?:повагою|побажаннями)|всього найкращого|с уважением|(?:bien )?cordialement|"
    r"saludos(?: cordiales)?|cordiali saluti|met vriendelijke groet(?:en)?|(?:z poważaniem|pozdrawiam)"
)
"""What stands above a name below a mail, without a word of thanks, which may be all that somebody wants to say."""

EXCUSES: str = (
    r"(?:please|pls|so |sorry|excuse|apolog|forgive|pardon|bitte|entschuldig|tippfehler|désolé|veuillez|"
    r"excusez|disculp|perdon|desculp|scusa|excuseer|"
    r"ursäkta|undskyld|beklager|przepraszam|omluvte|извин|вибач)"
)
"""How the excuse begins that people append to them."""

WEAK_SIGNATURES: tuple[str, ...] = (r"[^\W\d]{2,20} from mobile", r"sent from [\w -]{2,30}", r"--")
"""Lines that are a client's only where a certain one stands below or beside them."""

INLINE_HINTS: tuple[str, ...] = _listed(
    """
    inline | in-line | between the lines | below in | see below | answers below | answer below | comments below |
    replies below | responses below | my answers | my comments | my replies | my responses | in red | in blue | in green |
    in bold | in colour | in color | marked with | siehe unten | s.u. | s. u. | weiter unten | antworten unten | im text |
    in rot | rot markiert | in blau | meine antworten | meine anmerkungen | ci-dessous | dans le texte | en rouge |
    en bleu | mes réponses | plus bas | abajo | más abajo | en rojo | en azul | mis respuestas | entre líneas | abaixo |
    em vermelho | em azul | minhas respostas | qui sotto | di seguito | in rosso | le mie risposte | hieronder | in rood |
    mijn antwoorden | nedan | i rött | mina svar | nedenfor | i rødt | mine svar | alla olevat | punaisella | poniżej |
    na czerwono | moje odpowiedzi | níže | červeně | ниже | красным | в тексте | мои ответы | нижче | червоним |
    у тексті | мої відповіді | alább | pirossal | mai jos | aşağıda | kırmızı | παρακάτω | 见下 | 见下文 | 見下 | 红色 |
    紅色 | 下記 | 以下の通り | 赤字 | 아래 | 빨간
    """
)
"""Phrases above a history without "> " that tell of answers written into it."""
