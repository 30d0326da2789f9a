"""The Python half of reentrant_demo.erl: every function here calls Erlang, which calls Python again."""

import erlang


def arithmetic(a, b):
    """`(a + b) * (a - b)`, where Erlang adds and subtracts."""
    return erlang.call("add", a, b) * erlang.call("subtract", a, b)


def fibonacci(n):
    """Erlang keeps what is known and asks here for the rest."""
    if n < 2:
        return n
    return erlang.call("fibonacci", n - 1) + erlang.call("fibonacci", n - 2)


def descend(levels, depth=0):
    """Calls itself by way of Erlang, `levels` times: how deep it came."""
    return depth if levels == 0 else erlang.call("descend", levels - 1, depth + 1)


class Account:
    """An object that stays in Python. Whether money may be taken, Erlang decides."""

    def __init__(self, owner, balance):
        self.owner = owner
        self.balance = balance

    def withdraw(self, amount):
        if not erlang.call("may_withdraw", self.owner, self.balance, amount):
            raise ValueError(f"{self.owner} has only {self.balance}")
        self.balance -= amount
        return self.balance
