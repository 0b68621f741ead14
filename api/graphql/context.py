"""The context of one operation: its catalog state, its reads, its caller."""

from __future__ import annotations

from functools import cached_property

from api.answers.story import Answers
from api.catalog.fits import FitRecord
from api.catalog.view import CatalogView
from api.graphql.catalog.faces import Faces
from api.graphql.execution.core_internals import Coroutine
from api.graphql.loaders import Loaders
from api.graphql.services.services import Services
from db.fits.cells import AnyCell, FitKey


class RequestContext:
    """Context of one operation, pinned to one published state for all of its statements."""

    def __init__(
        self,
        services: Services,
        view: CatalogView,
        request_id: str,
        base_url: str = "",
        token: str | None = None,
        client: str = "",
    ) -> None:
        self.services = services
        self.view = view
        self.request_id = request_id
        self.base_url = services.settings.public_url.rstrip("/") or base_url
        self.token = token
        #: The client whose points the rate limit counts.
        self.client = client
        self._answers: dict[tuple[FitKey, int], Answers] = {}
        self.cost = 0
        #: Whether the response may be reused for the same request until the next publication.
        self.keep = True
        #: Coroutines of the executor, to be closed when nobody awaits them.
        self.begun: list[Coroutine] = []

    @cached_property
    def faces(self) -> Faces:
        """GraphQL objects of the catalog's entities."""
        return self.view.derived(Faces)

    @cached_property
    def loaders(self) -> Loaders:
        """Reads of fits."""
        state = self.services.state
        return Loaders(state, state.live, self.view)

    def forget(self) -> None:
        """Drop the results of reads, so that the operation can be run again from the start.

        A kept result is ready before a read one: of several fields that fail, another one would be the first.
        """
        self.__dict__.pop("loaders", None)
        self._answers.clear()

    def answers(self, cell: AnyCell) -> Answers:
        """Texts and advice of a fit; all fields of one fit share them."""
        key = (cell.key, cell.workload_id)
        answers = self._answers.get(key)
        if answers is None:
            answers = self._answers[key] = Answers(FitRecord(self.view, cell))
        return answers

    async def renewed(self) -> RequestContext:
        """A fresh context for another operation of the same connection."""
        view = await self.services.state.view()
        return RequestContext(self.services, view, self.request_id, self.base_url, self.token, self.client)
