"""What programs write in a subject: absence, a demand that the sender prove himself, a mail that came back.

Used by `robots` where headers are missing. A match by itself never makes a mail a robot's, people write "out of office"
too; it only withholds our automatic answer, or tips the balance where another sign stands beside it.
Each entry names the language; the phrases are those of Exchange and Outlook, Gmail, Lotus Notes and sieve/vacation.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

ABSENCE_PHRASES: dict[str, tuple[str, ...]] = {
    "en": (
        "out of office",
        "out of the office",
        "out-of-office",
        "auto reply",
        "auto-reply",
        "autoreply",
        "automatic reply",
        "automated reply",
        "automatic response",
        "automated response",
        "auto response",
        "auto-response",
        "autoresponse",
        "autoresponder",
        "vacation reply",
        "vacation response",
        "vacation notice",
        "away from my mail",
        "away from the office",
        "away from office",
        "on vacation",
        "on annual leave",
        "on parental leave",
        "on maternity leave",
        "on paternity leave",
        "on sick leave",
        "ooo",
        "i am away",
        "i'm away",
        "on holiday",
        "absence notice",
    ),
    "de": (
        "automatische antwort",
        "automatische rückantwort",
        "abwesenheitsnotiz",
        "abwesenheitsnachricht",
        "abwesenheitsmeldung",
        "abwesenheitsassistent",
        "abwesenheitsbenachrichtigung",
        "abwesenheit",
        "abwesend",
        "nicht im büro",
        "nicht im hause",
        "im urlaub",
        "urlaubsvertretung",
        "außer haus",
        "ausser haus",
    ),
    "fr": (
        "réponse automatique",
        "reponse automatique",
        "message automatique",
        "absence du bureau",
        "absent du bureau",
        "absente du bureau",
        "en congé",
        "en vacances",
        "message d'absence",
        "notification d'absence",
        "avis d'absence",
        "en dehors du bureau",
    ),
    "es": (
        "respuesta automática",
        "respuesta automatica",
        "contestación automática",
        "fuera de la oficina",
        "fuera de oficina",
        "de vacaciones",
        "ausencia de la oficina",
        "aviso de ausencia",
        "resposta automàtica",
    ),
    "it": (
        "risposta automatica",
        "fuori sede",
        "fuori ufficio",
        "fuori dall'ufficio",
        "assenza dall'ufficio",
        "messaggio di assenza",
        "in ferie",
    ),
    "pt": (
        "resposta automática",
        "resposta automatica",
        "fora do escritório",
        "fora do escritorio",
        "ausência temporária",
        "ausencia temporaria",
        "aviso de ausência",
        "mensagem de ausência",
        "em férias",
        "estou de férias",
    ),
    "nl": (
        "automatisch antwoord",
        "automatische reactie",
        "afwezigheidsbericht",
        "afwezigheidsmelding",
        "niet aanwezig",
        "niet op kantoor",
        "afwezig",
        "buiten kantoor",
        "met vakantie",
        "op vakantie",
    ),
    "sv": ("autosvar", "automatiskt svar", "frånvaro", "frånvaromeddelande", "inte på kontoret", "är på semester", "på semester"),
    "da": ("automatisk svar", "autosvar", "fraværende", "fraværsbesked", "ikke til stede", "ikke på kontoret", "på ferie"),
    "nb": ("automatisk svar", "autosvar", "fraværsmelding", "fraværsassistent", "ikke på kontoret", "utenfor kontoret"),
    "fi": ("automaattinen vastaus", "automaattivastaus", "poissaoloilmoitus", "poissa toimistosta", "poissa", "lomalla"),
    "pl": (
        "odpowiedź automatyczna",
        "automatyczna odpowiedź",
        "autoodpowiedź",
        "poza biurem",
        "nieobecność",
        "nieobecny w biurze",
        "jestem na urlopie",
    ),
    "cs": ("automatická odpověď", "mimo kancelář", "nepřítomnost", "nejsem v kanceláři", "jsem na dovolené"),
    "sk": ("automatická odpoveď", "mimo kancelárie", "neprítomnosť", "som na dovolenke"),
    "hu": ("automatikus válasz", "házon kívül", "irodán kívül", "szabadságon vagyok", "távollét"),
    "ro": ("răspuns automat", "raspuns automat", "absent de la birou", "plecat din birou", "în concediu"),
    "bg": ("автоматичен отговор", "извън офиса", "отсъствам от офиса"),
    "ru": (
        "автоматический ответ",
        "автоответ",
        "автоответчик",
        "нет на рабочем месте",
        "вне офиса",
        "отсутствую в офисе",
        "отсутствие на рабочем месте",
        "я в отпуске",
        "нахожусь в отпуске",
    ),
    "uk": (
        "автоматична відповідь",
        "автовідповідь",
        "поза офісом",
        "відсутній на робочому місці",
        "відсутність на робочому місці",
        "у відпустці",
    ),
    "el": ("αυτόματη απάντηση", "αυτοματη απαντηση", "εκτός γραφείου", "απουσία από το γραφείο"),
    "tr": ("otomatik yanıt", "otomatik cevap", "ofis dışında", "ofis dışı", "izindeyim", "yıllık izin"),
    "hr": ("automatski odgovor", "izvan ureda", "odsutan iz ureda"),
    "sl": ("samodejni odgovor", "odsotnost iz pisarne", "nisem v pisarni"),
    "sr": ("аутоматски одговор", "ван канцеларије"),
    "et": ("automaatvastus", "kontorist väljas"),
    "lv": ("automātiska atbilde", "ārpus biroja", "prombūtnē"),
    "lt": ("automatinis atsakymas", "ne biure", "nesu biure"),
    "he": ("תשובה אוטומטית", "מענה אוטומטי", "מחוץ למשרד"),
    "ar": ("رد تلقائي", "الرد التلقائي", "خارج المكتب"),
    "zh": ("自动答复", "自动回复", "自動回覆", "自動答覆", "自動回復", "不在办公室", "不在辦公室", "外出通知", "休假通知"),
    "ja": ("自動返信", "自動応答", "不在通知", "不在のお知らせ", "不在連絡"),
    "ko": ("자동 회신", "자동회신", "자동 응답", "부재중", "부재 중"),
    "vi": ("trả lời tự động", "thư trả lời tự động", "vắng mặt"),
    "id": ("balasan otomatis", "jawaban otomatis", "di luar kantor"),
    "th": ("ตอบกลับอัตโนมัติ", "ไม่อยู่ที่สำนักงาน"),
}

CHALLENGE_PHRASES: tuple[str, ...] = (
    "please confirm your message",
    "please confirm your email to",
    "confirm your mail to",
    "verify your email to",
    "sender verification required",
    "your email requires verification",
    "your message awaits moderator approval",
    "message requires confirmation",
    "challenge-response",
    "[spam arrest]",
    "spamarrest",
    "boxbe",
    "bitte bestätigen sie ihre nachricht",
    "bitte bestätigen sie ihre e-mail an",
)

# What mail systems put into the subject of a delivery report.
RETURNED_PHRASES: tuple[str, ...] = (
    "mail delivery failed",
    "mail delivery failure",
    "delivery status notification",
    "undelivered mail returned",
    "undeliverable:",
    "undeliverable mail",
    "returned mail:",
    "failure notice",
    "delivery failure",
    "non-delivery:",
    "mail could not be delivered",
    "delivery has failed",
    "unzustellbar",
    "nicht zustellbar",
    "mail nicht zugestellt",
    "non remis",
    "échec de la remise",
    "no se puede entregar",
    "onbestelbaar",
    "niet besteld",
    "mancato recapito",
    "não entregue",
    "недоставлен",
    "не доставлено",
    "olevererbart",
    "nie dostarczono",
)

_SCANNED_CHARS = 300

# People write about absences too ("out of office does not work in Outlook"), so a phrase counts only where programs put it: first
# (after prefixes, tags, "I am", "Jane Doe is") with an end, a mark, a number or an until-word after it, or last behind a mark.
_LEAD = (
    r"^\W*(?:(?:re|aw|sv|antw|odp|r|res|fwd?|回复|答复)\s*[:：]\s*){0,3}(?:\[[^\]]{0,60}\]\s*){0,2}\W*"
    r"(?:(?:i am|i'm|i will be|we are|ich bin|je suis|sono|estoy|estou|ik ben|jag är|jeg er|olen|jestem|jsem|я|"
    r"[^\W\d]{1,30}(?: [^\W\d]{1,30}){0,2} (?:is|ist|est|está|è|är|er|on)) (?:currently |now |derzeit |zur zeit |actuellement )?)?"
)
_FOLLOW = (
    r"\s*(?:$|[\[\](){}:：;,.!|/\-–—_<>\"'«»„“”*#\d]|(?:until|till|til|from|to|on|for|between|re|bis|vom|von|ab|au|jusqu|du|hasta|del|fino|dal|até|de|"
    r"tot|van|tills|til|fra|från|do|od|с|до|по|від|aw|fw|fwd)\b)"
)
_BEHIND = r"[\[(:：|\-–—]\s*"
_END = r"\s*[\])!.]?\s*$"


@cache
def _absence(language: str) -> re.Pattern[str]:
    """Return one pattern that finds a language's phrases where a program puts them; made where mail is read, as it takes its time."""
    any_phrase = "(?:" + "|".join(re.escape(phrase) for phrase in sorted(ABSENCE_PHRASES[language], key=len, reverse=True)) + ")"
    return re.compile(f"{_LEAD}{any_phrase}{_FOLLOW}|{_BEHIND}{any_phrase}{_END}", re.IGNORECASE)


@cache
def _challenge() -> re.Pattern[str]:
    return re.compile("|".join(re.escape(phrase) for phrase in CHALLENGE_PHRASES), re.IGNORECASE)


@cache
def _returned() -> re.Pattern[str]:
    phrases = "|".join(re.escape(phrase) for phrase in RETURNED_PHRASES)
    return re.compile(
        rf"^\W*(?:(?:re|aw)\s*:\s*)?(?:\[[^\]]{{0,60}}\]\s*)?(?:{phrases})|{_BEHIND}(?:{phrases}|delivery failed){_END}", re.IGNORECASE
    )


@lru_cache(1000)
def absence(subject: str) -> str:
    """Return the language code of the absence phrase in `subject`, or ""."""
    head = " ".join(subject[:_SCANNED_CHARS].split())
    return next((language for language in ABSENCE_PHRASES if _absence(language).search(head)), "")


def challenge(subject: str) -> bool:
    """Return whether `subject` asks the sender to prove that he is a person."""
    return bool(_challenge().search(subject[:_SCANNED_CHARS]))


def returned(subject: str) -> bool:
    """Return whether `subject` begins, or ends, as the subject of a delivery report does."""
    return bool(_returned().search(subject[:_SCANNED_CHARS]))
