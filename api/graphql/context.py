"""What one operation carries: the catalog state it sees, its loaders, its caller."""

from __future__ import annotations

from functools import cached_property

from api.answers.story import Answers
from api.graphql.catalog_view import CatalogView
from api.graphql.execution.core_internals import Coroutine
from api.graphql.fits.loaders import Loaders
from api.graphql.fits.types import Fit
from api.graphql.services import Services
from db.fits.generations import Generation


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
        #: Whom the rate limit counts for.
        self.client = client
        self._answers: dict[str, Answers] = {}
        self.cost = 0
        #: Whether the answer may be given again to the same question while nothing new is published.
        self.keep = True
        #: Coroutines of the executor, to be closed when nobody awaits them.
        self.begun: list[Coroutine] = []

    @property
    def catalog(self) -> CatalogView:
        """The catalog that this operation sees."""
        return self.view

    @property
    def generation(self) -> Generation:
        """The published generation. Raises ``UNAVAILABLE`` before the first one."""
        return self.view.published

    @cached_property
    def loaders(self) -> Loaders:
        """Loaders of this operation."""
        return Loaders(self.services, self.view)

    def forget(self) -> None:
        """Drop what was read, so that the operation can be run from the start.

        What is known already comes sooner than what is read: of several fields that fail, another one would be the first.
        """
        self.__dict__.pop("loaders", None)
        self._answers.clear()

    def answers(self, fit: Fit) -> Answers:
        """What a fit means; the texts of one fit share what they are derived from."""
        known = self._answers.get(fit.id)
        if known is None:
            known = self._answers[fit.id] = Answers(self.view, fit)
        return known

    async def renewed(self) -> RequestContext:
        """A fresh context for another operation of the same connection."""
        view = await self.services.view()
        return RequestContext(self.services, view, self.request_id, self.base_url, self.token, self.client)
