"""Cut held-out texts into slices on which a compression may lose more than on the whole."""

from collections import Counter
from collections.abc import Iterator, Sequence

from app.contract.names import MetricName
from app.contract.report import Slice
from worker.compression.evaluation.intervals import FEWEST, PerText, intervals_of

# General English, of our own writing: text of no domain in particular.
GENERAL = (
    "The last bus leaves at ten past eleven, so we have to be quick.",
    "She painted the kitchen yellow because the winters here are grey.",
    "Nobody had expected the small town to win the football match.",
    "The recipe asks for two eggs, a little sugar and a pinch of salt.",
    "He learned to play the guitar when he was already over fifty.",
    "Heavy rain is expected in the north, with sunshine along the coast.",
    "The museum is closed on Mondays and opens late on Thursdays.",
    "Their grandmother told them stories about the war until they slept.",
    "A good chair matters more than a large desk if you sit all day.",
    "The government promised to lower the tax on bread and milk.",
    "We watched the ships come into the harbour one after another.",
    "The child asked why the moon follows the car at night.",
    "Bees find their way home by the sun, even behind thin clouds.",
    "It took the climbers nine hours to reach the hut below the summit.",
    "The old bridge was built of stone and has stood for six centuries.",
    "Please leave your shoes at the door and your worries outside.",
    "The novel begins with a letter that never reaches its reader.",
    "Prices of flats in the capital have doubled within ten years.",
    "My neighbour grows tomatoes, beans and roses on his balcony.",
    "The judge listened to both sides and asked for one more day.",
    "Trains between the two cities run every half hour until midnight.",
    "The orchestra played without a conductor for the first time.",
    "A lost dog was found asleep in the back of a delivery van.",
    "Most visitors come in spring, when the cherry trees are in bloom.",
)


def slices_of(
    metric: MetricName, sums: PerText, outside: PerText | None, seed: int
) -> Iterator[Slice]:
    """Yield what is kept on the slices of the texts, and on text of no domain.

    Slices of too few texts for an interval are left out.
    """
    parts = {name: sums.part(places) for name, places in places_of(sums.texts).items()}
    for name, part in {**parts, **({"out_of_domain": outside} if outside else {})}.items():
        if len(part.texts) < FEWEST:
            continue
        retention = metric.retention(*part.figures)
        if retention is None:
            continue
        found = intervals_of(part.draws(seed), higher_is_better=metric.higher_is_better)
        yield Slice(
            name=name,
            texts=len(part.texts),
            retention=retention,
            low=found["low"],
            high=found["high"],
        )


def places_of(texts: Sequence[str]) -> dict[str, list[int]]:
    """Return the places of the shortest and the longest quarter, and of that of rare words.

    A word is rare that stands in no other of the texts; texts count by the share of such words.
    """
    quarter = len(texts) // 4
    words = [text.lower().split() for text in texts]
    texts_with = Counter(word for own in words for word in set(own))
    rare = [sum(texts_with[word] == 1 for word in own) / max(1, len(own)) for own in words]
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    by_rareness = sorted(range(len(texts)), key=lambda i: -rare[i])
    return {
        "short": by_length[:quarter],
        "long": by_length[len(texts) - quarter :],
        "rare_words": [i for i in by_rareness[:quarter] if rare[i] > 0],
    }
