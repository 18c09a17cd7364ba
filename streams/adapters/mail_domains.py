"""Mail domains: which groups the people of mails, meetings and payments belong to.

A person's e-mail domain is a group, unless anyone can have an address there. Domains are kept whole but for a
leading `www.`: `mail.acme.com` and `acme.com` are different groups. The adapters of mail, calendars, payments and
shops put the people of an event together with `Cast`, and read their documents with `field` and `text`, which
never fail, whatever JSON came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from resolvers.errors import Rejected
from streams.events import Identifier, Membership, Participant
from streams.times import format_time, parse_time

_ANYWHERE: dict[str, str] = {
    "aol": "at be ca ch cl co.nz co.uk com com.ar com.au com.br com.co com.mx com.ve cz de dk es fi fr hk in it jp kr nl pl ru se tw",
    "gmx": "at biz ch co.uk com com.br com.my com.tr cz de es eu fr hk ie info it li lu mx net org ph pt ro ru se sg tm us",
    "hotmail": "at be ca ch cl co.id co.il co.in co.jp co.kr co.nz co.th co.uk co.za com com.ar com.au com.br com.hk com.tr com.tw"
    " com.vn cz de dk es fi fr gr hu ie in it jp lt lu lv my net.pe nl no ph pt ro rs se sg sk",
    "live": "at be ca ch cl cn co.in co.kr co.uk co.za com com.ar com.au com.co com.mx com.my com.ph com.pk com.pt com.sg de dk fi fr"
    " hk ie in it jp nl no ph pt ru se",
    "outlook": "at be bg cl co.id co.il co.nz co.th co.uk com com.ar com.au com.br com.es com.gr com.hr com.pe com.py com.tr com.uy"
    " com.vn cz de dk ec es fi fr hu ie in it jp kr lt lv mx my ph pl pt ro sa sg sk",
    "tiscali": "be ch co.uk com cz de dk es fr it nl no",
    "yahoo": "at be bg ca ch cl cn co.hu co.id co.il co.in co.jp co.kr co.nz co.th co.uk co.za com com.ar com.au com.br com.cn com.co"
    " com.hk com.hr com.mx com.my com.pe com.ph com.pk com.sg com.tr com.tw com.ua com.ve com.vn cz de dk ee es fi fr gr hu ie in it"
    " lt lv ne.jp nl no pl pt ro rs ru se si sk tw",
    "yandex": "az by co.il com com.am com.ge com.tr com.ua ee fr kg kz lt lv md net org ru tj tm ua uz",
}
"""Providers with addresses under many endings: the name, and the endings."""

_PROVIDERS = """
    gmail.com googlemail.com
    msn.com passport.com windowslive.com
    icloud.com me.com mac.com privaterelay.appleid.com
    ymail.com rocketmail.com myyahoo.com
    aim.com love.com games.com wow.com netscape.net netscape.com compuserve.com cs.com
    proton.me protonmail.com protonmail.ch pm.me passmail.net passinbox.com
    tutanota.com tutanota.de tutamail.com tuta.com tuta.io keemail.me
    zoho.com zoho.eu zoho.in zohomail.com zohomail.eu zohomail.in
    fastmail.com fastmail.fm fastmail.net fastmail.org fastmail.us fastmail.co.uk fastmail.de fastmail.jp sent.com
    hey.com hushmail.com hush.com startmail.com mailfence.com posteo.de posteo.net posteo.eu mailbox.org disroot.org riseup.net
    runbox.com countermail.com ctemplar.com lavabit.com cock.li autistici.org inventati.org kolabnow.com soverin.net skiff.com
    mail.com email.com usa.com post.com europe.com asia.com engineer.com consultant.com iname.com myself.com writeme.com techie.com
    dr.com lawyer.com accountant.com workmail.com inbox.com lycos.com excite.com juno.com netzero.net netzero.com rediff.com
    duck.com mozmail.com relay.firefox.com simplelogin.com simplelogin.co aleeas.com slmail.me anonaddy.com anonaddy.me addy.io
    users.noreply.github.com
    mailinator.com guerrillamail.com guerrillamail.net sharklasers.com 10minutemail.com temp-mail.org tempmail.com yopmail.com yopmail.fr
    maildrop.cc trashmail.com getnada.com dispostable.com throwawaymail.com mailnesia.com moakt.com fakeinbox.com grr.la spam4.me
"""
"""Everywhere: large providers, private ones, relays that hide an address, throw-away addresses."""

_COUNTRIES = """
    us: comcast.net verizon.net att.net sbcglobal.net bellsouth.net ameritech.net pacbell.net swbell.net snet.net prodigy.net
        cox.net charter.net spectrum.net roadrunner.com rr.com twc.com earthlink.net mindspring.com optonline.net optimum.net frontier.com
        frontiernet.net windstream.net centurylink.net centurytel.net embarqmail.com q.com qwest.net suddenlink.net mchsi.com wowway.com
        cableone.net tds.net insightbb.com peoplepc.com rcn.com hawaiiantel.net gci.net
    ca: rogers.com bell.net sympatico.ca shaw.ca telus.net videotron.ca cogeco.ca eastlink.ca sasktel.net mts.net nb.sympatico.ca
    mx: prodigy.net.mx
    br: uol.com.br bol.com.br terra.com.br ig.com.br globo.com globomail.com zipmail.com.br oi.com.br r7.com
    ar: fibertel.com.ar arnet.com.ar speedy.com.ar ciudad.com.ar
    cl: vtr.net terra.cl
    uk: btinternet.com btopenworld.com talk21.com sky.com virginmedia.com virgin.net ntlworld.com blueyonder.co.uk talktalk.net plusnet.com
        tesco.net orange.net o2.co.uk freeserve.co.uk supanet.com zen.co.uk
    ie: eircom.net eir.ie
    de: web.de t-online.de freenet.de arcor.de email.de mail.de online.de vodafone.de vodafonemail.de kabelmail.de alice.de
        alice-dsl.net o2online.de o2mail.de netcologne.de magenta.de ewetel.net firemail.de unitybox.de
    at: aon.at chello.at a1.net inode.at utanet.at drei.at
    ch: bluewin.ch sunrise.ch hispeed.ch swissonline.ch
    fr: orange.fr wanadoo.fr free.fr laposte.net sfr.fr neuf.fr cegetel.net club-internet.fr bbox.fr numericable.fr aliceadsl.fr voila.fr
        noos.fr caramail.com
    be: skynet.be telenet.be proximus.be scarlet.be pandora.be
    nl: ziggo.nl kpnmail.nl kpnplanet.nl planet.nl home.nl hetnet.nl xs4all.nl upcmail.nl chello.nl casema.nl quicknet.nl
        zonnet.nl solcon.nl
    lu: pt.lu internet.lu
    it: libero.it virgilio.it alice.it tin.it tim.it fastwebnet.it inwind.it iol.it blu.it email.it poste.it tiscalinet.it vodafone.it
    es: telefonica.net terra.es movistar.es ono.com orange.es euskaltel.net ya.com
    pt: sapo.pt clix.pt netcabo.pt iol.pt mail.telepac.pt
    se: telia.com bredband.net comhem.se spray.se bahnhof.se
    no: online.no broadpark.no getmail.no
    dk: mail.dk stofanet.dk tdcadsl.dk jubii.dk webspeed.dk
    fi: elisanet.fi kolumbus.fi luukku.com saunalahti.fi pp.inet.fi suomi24.fi welho.com
    pl: wp.pl o2.pl onet.pl onet.eu op.pl interia.pl interia.eu poczta.onet.pl poczta.fm gazeta.pl tlen.pl vp.pl autograf.pl buziaczek.pl
    cz: seznam.cz email.cz post.cz centrum.cz volny.cz atlas.cz
    sk: azet.sk centrum.sk zoznam.sk post.sk
    hu: freemail.hu citromail.hu t-online.hu indamail.hu
    ro: rdslink.ro clicknet.ro
    bg: abv.bg mail.bg dir.bg
    gr: otenet.gr forthnet.gr in.gr
    tr: mynet.com ttmail.com superonline.com
    il: walla.co.il walla.com netvision.net.il bezeqint.net 012.net.il
    ru: mail.ru bk.ru list.ru inbox.ru internet.ru rambler.ru lenta.ru ro.ru autorambler.ru myrambler.ru ya.ru narod.ru
    ua: ukr.net i.ua meta.ua bigmir.net
    by: tut.by
    lv: inbox.lv
    lt: inbox.lt
    cn: qq.com vip.qq.com foxmail.com 163.com 126.com yeah.net 188.com vip.163.com sina.com sina.cn vip.sina.com sohu.com 139.com 189.cn
        wo.cn tom.com 21cn.com aliyun.com 263.net
    hk: netvigator.com
    tw: hinet.net pchome.com.tw seed.net.tw
    jp: docomo.ne.jp ezweb.ne.jp au.com softbank.ne.jp i.softbank.jp nifty.com ocn.ne.jp biglobe.ne.jp so-net.ne.jp plala.or.jp goo.jp
        excite.co.jp infoseek.jp vodafone.ne.jp dion.ne.jp
    kr: naver.com daum.net hanmail.net nate.com kakao.com
    in: rediffmail.com indiatimes.com sify.com vsnl.net vsnl.com bsnl.in airtelmail.in
    vn: vnn.vn
    th: thaimail.com
    my: streamyx.com tm.net.my
    sg: singnet.com.sg starhub.net.sg pacific.net.sg
    au: bigpond.com bigpond.net.au optusnet.com.au iinet.net.au internode.on.net tpg.com.au westnet.com.au dodo.com.au ozemail.com.au
        aapt.net.au adam.com.au
    nz: xtra.co.nz slingshot.co.nz orcon.net.nz clear.net.nz paradise.net.nz vodafone.co.nz
    za: mweb.co.za telkomsa.net webmail.co.za vodamail.co.za iafrica.com
"""
"""By country: what the providers of lines and portals give to households."""

PUBLIC_MAIL_DOMAINS: frozenset[str] = frozenset(
    [f"{provider}.{ending}" for provider, endings in _ANYWHERE.items() for ending in endings.split()]
    + _PROVIDERS.split()
    + [word for word in _COUNTRIES.split() if not word.endswith(":")],
)
"""Domains in which anyone can have an address, so that sharing one says nothing about two people."""

_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.)+[\w-]{2,63}")
_LONGEST_DOMAIN = 253
_LARGEST_BITS = 64


def clean_domain(value: str) -> str | None:
    """Lower a domain's case and strip a leading `www.` and a trailing dot; None for what is no domain."""
    domain = value.strip().lower().removesuffix(".").removeprefix("www.")
    if len(domain) > _LONGEST_DOMAIN or _DOMAIN.fullmatch(domain) is None or domain.rsplit(".", 1)[1].isdigit():
        return None
    return domain


def is_public_mail_domain(domain: str) -> bool:
    """Say whether anyone can have an address in this domain."""
    return (clean_domain(domain) or "") in PUBLIC_MAIL_DOMAINS


def mail_domain(address: str) -> str | None:
    """Give the domain of an e-mail address as a group's identifier; None for a public one, and without a domain."""
    local, at, after = address.strip().rpartition("@")
    domain = clean_domain(after) if local and at else None
    return None if domain in PUBLIC_MAIL_DOMAINS else domain


def field(node: object, *path: str) -> object:
    """Follow keys through nested objects; None where one of them is missing or is no object."""
    for key in path:
        if not isinstance(node, Mapping):
            return None
        node = node.get(key)
    return node


def text(node: object, *path: str) -> str | None:
    """Read a text or a whole number as trimmed text; None for everything else and for nothing but blanks."""
    value = field(node, *path)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _LARGEST_BITS:
        return str(value)
    return (value.strip() or None) if isinstance(value, str) else None


def first_text(node: object, *keys: str) -> str | None:
    """Read the first of several keys that has a text."""
    return next((found for key in keys if (found := text(node, key)) is not None), None)


def read_time(value: object, what: str) -> str:
    """Write a time of any source as the events write it; "" for null and blank. Raises Rejected if it can't be read."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    try:
        return format_time(parse_time(value))
    except ValueError as error:
        raise Rejected(f"{what}: {error}") from error


class Cast:
    """Collects who takes part in one event: persons, and after them the groups.

    Persons are never joined, whatever they share. A person with an e-mail address brings the group of its mail domain,
    once per domain of an event, and belongs to it. Numbers that the methods give are good for this cast only.
    """

    def __init__(self) -> None:
        self._persons: list[Participant] = []
        self._groups: list[Participant] = []
        self._group_of_domain: dict[str, int] = {}
        self._memberships: dict[tuple[int, int], str | None] = {}

    def person(
        self,
        role: str,
        email: str | None,
        *,
        name: str | None = None,
        others: Sequence[tuple[str, str | None]] = (),
        states: dict[str, str] | None = None,
    ) -> int:
        """Add a person and the group of its mail domain; gives the person's number.

        `others` are further identifiers (type, value), stronger ones first; those without a value are left out.
        A name that is only an address is left out.
        """
        pairs = [*others, ("email", email)]
        identifiers = [Identifier(kind, value) for kind, value in pairs if value]
        traits = {"name": name} if name and not _is_address(name) else {}
        self._persons.append(Participant("person", role, identifiers, traits, states or {}))
        member = len(self._persons) - 1
        domain = mail_domain(email) if email else None
        if domain is not None:
            if domain not in self._group_of_domain:
                self.group(f"{role}_domain", domains=[domain])
            self.join(member, self._group_of_domain[domain])
        return member

    def group(
        self,
        role: str,
        *,
        domains: Sequence[str],
        others: Sequence[tuple[str, str | None]] = (),
        traits: dict[str, str] | None = None,
    ) -> int:
        """Add a group with its domains; gives its number. Persons whose mail domain is one of these belong to it."""
        identifiers = [Identifier(kind, value) for kind, value in others if value]
        identifiers += [Identifier("domain", domain) for domain in dict.fromkeys(domains)]
        self._groups.append(Participant("group", role, identifiers, traits or {}))
        for domain in domains:
            self._group_of_domain.setdefault(domain, len(self._groups) - 1)
        return len(self._groups) - 1

    def join(self, person: int, group: int, role: str | None = None) -> None:
        """Make a person belong to a group; a role that is already known stays when none is given."""
        self._memberships[person, group] = role or self._memberships.get((person, group))

    def participants(self) -> list[Participant]:
        """Give the persons in the order they were added, and then the groups."""
        return self._persons + self._groups

    def memberships(self) -> list[Membership]:
        """Give the memberships, their numbers those of `participants()`."""
        return [Membership(person, len(self._persons) + group, role) for (person, group), role in self._memberships.items()]


def _is_address(name: str) -> bool:
    return "@" in name and not any(character.isspace() for character in name.strip())
