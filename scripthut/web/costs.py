"""What computing costs, where the configuration names prices of a backend."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from scripthut.core.costs import Hours, Rates
from scripthut.web.extensions import config


@dataclass(frozen=True)
class Money:
    """An amount of a currency."""

    amount: float
    currency: str

    def __str__(self) -> str:
        digits = 0 if self.amount >= 1000 else 2
        said = f"{self.amount:,.{digits}f}" if self.amount >= 0.01 else f"{self.amount:.2g}"
        return f"{said} {self.currency}".strip()


def cost(backend: str, hours: Hours) -> Money | None:
    """The price of these hours on a backend; None: nobody has named one."""
    rates = _rates(backend)
    return Money(rates.amount(hours), rates.currency) if rates else None


def total(by_backend: Mapping[str, Hours]) -> list[Money]:
    """The price of hours on several backends, by currency; empty: none has a price."""
    found: dict[str, float] = {}
    for name, hours in by_backend.items():
        one = cost(name, hours)
        if one is not None:
            found[one.currency] = found.get(one.currency, 0.0) + one.amount
    return [Money(amount, currency) for currency, amount in found.items()]


def as_json(money: Money | None) -> dict[str, object] | None:
    """A price as the JSON API gives it; null where none is configured."""
    return None if money is None else {**asdict(money), "amount": round(money.amount, 4)}


def _rates(backend: str) -> Rates | None:
    part = next((one for one in config().backends if one.name == backend), None)
    return part.prices.rates if part is not None and part.prices is not None else None
