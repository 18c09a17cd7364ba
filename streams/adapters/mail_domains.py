"""Mail domains: which groups the people of mails, meetings and payments belong to.

A person's e-mail domain is a group, unless anyone can have an address there or it is a public suffix, under which
anyone can have a domain. Domains are kept whole but for a leading `www.`: `mail.acme.com` and `acme.com` are
different groups. Neighbours: `cast` puts the people of an event together.
"""

from __future__ import annotations

import re
from functools import lru_cache

import idna
from publicsuffixlist import PublicSuffixList

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
_CACHED_DOMAINS = 65_536


def clean_domain(value: str) -> str | None:
    """Lower a domain's case and strip a leading `www.` and a trailing dot; None for what is no domain."""
    domain = value.strip().lower().removesuffix(".").removeprefix("www.")
    if len(domain) > _LONGEST_DOMAIN or _DOMAIN.fullmatch(domain) is None or domain.rsplit(".", 1)[1].isdigit():
        return None
    return domain


def mail_domain(address: str) -> str | None:
    """Give the domain of an e-mail address as a group's identifier.

    None for a public mail domain, for a public suffix (`co.uk`, `github.io`), and without a domain.
    """
    local, at, after = address.strip().rpartition("@")
    return _group_domain(after) if local and at else None


@lru_cache(maxsize=_CACHED_DOMAINS)
def _group_domain(written: str) -> str | None:
    domain = clean_domain(written)
    return None if domain is None or domain in PUBLIC_MAIL_DOMAINS or _is_public_suffix(domain) else domain


def _is_public_suffix(domain: str) -> bool:
    """Say whether a domain is one that unrelated people have domains under, by the public suffix list."""
    try:
        ascii_form = domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return False
    return bool(_suffixes().is_public(ascii_form))


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    """Read the list that comes with the package, once; its names are in their ASCII form."""
    return PublicSuffixList(accept_unknown=False)
