"""A worker's session without torch whose finished runs have results, as page Compare needs."""

from made_pairs import write_results
from made_session import MadeSession

from pahq.runs.store import RunFolder


class ResultSession(MadeSession):
    def run(self, folder: RunFolder, **settings) -> dict:
        done = super().run(folder, **settings)
        if done["status"] == "finished":
            write_results(folder)
        return done
