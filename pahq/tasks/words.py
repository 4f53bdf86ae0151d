"""The words that tasks write their prompts with, as data.

Written without the leading space that a word has inside a sentence; tasks add it and keep the
words that a tokenizer has as one token. Most of them are one token in GPT-2's vocabulary.
"""


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MEN = _split(
    """
    John Tom James Dan Mark Paul Peter David Adam Alan Andrew Anthony Brian Charles Daniel Edward
    Eric Frank George Henry Jack Jacob Jason Jeremy Jonathan Joseph Joshua Justin Kevin Kyle Luke
    Martin Matthew Michael Patrick Richard Robert Ryan Scott Sean Simon Stephen Steven Thomas
    William Aaron Arthur Brandon Christopher Ian
    """
)
"""First names that English readers take for a man's."""

WOMEN = _split(
    """
    Mary Lisa Anna Sarah Laura Kate Jane Alice Amy Elizabeth Emily Jennifer Jessica Maria
    Michelle Rachel Victoria Susan Linda Karen Nancy Helen Ruth Diana Julia Emma Claire Lucy Rose
    Julie Angela Barbara Betty Catherine Christine Sandra Sharon Margaret Rebecca Lauren Amanda
    Heather Nicole Hannah Ellen Sophie Grace Caroline Kim Molly
    """
)
"""First names that English readers take for a woman's."""

PLACES = _split("store garden restaurant school hospital office house station")
OBJECTS = _split("ring kiss bone basketball computer necklace drink snack")
"""Places and objects of the indirect-object task: Conmy et al. 2023, arXiv:2304.14997."""

EVENTS = _split(
    """
    war campaign siege reign plague voyage expedition trial tour journey conflict marriage
    rivalry dispute famine occupation rebellion project strike mission festival drought empire
    alliance romance kingdom invasion riot quest program epidemic contract treaty study
    expansion friendship revolt crusade truce pilgrimage
    """
)
"""What may last from one year to another."""

CENTURIES = tuple(str(century) for century in range(11, 18))
"""First two digits of a year."""

YEARS = tuple(f"{year:02d}" for year in range(100))
"""Last two digits of a year."""

FUNCTIONS = _split("run load save build check parse send update create find merge split read write")
"""Names of the functions whose docstring is completed."""

VARIABLES = _split(
    """
    file name size value key line text data path node list item user port host page code mode
    type count index state token color width height date time label event option result source
    target query client server model field table image frame group order parent child root
    version language project command message filter format buffer cache limit offset score
    weight rate shape
    """
)
"""Names of the arguments."""

DESCRIPTIONS = _split(
    """
    river summer window doctor letter church bread mountain silver winter flower engine market
    island forest bottle theory sugar finger teacher farmer circle bridge metal stone paper
    ticket garden animal morning planet kitchen soldier artist hunter castle desert pepper
    uncle valley
    """
)
"""Meaningless descriptions of functions and arguments, so that only the names carry the answer."""
