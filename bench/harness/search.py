"""The highest rate that a bound allows, by steps."""

FINE = 1.12  # steps near the limit


class Search:
    """try_rate(rate) -> (kept, value). Each call of round() is one search; the later ones begin near what the one before has found."""

    def __init__(self, try_rate, start, highest=1e9):
        self.try_rate, self.start, self.highest = try_rate, start, highest
        self.best_rate = None

    def round(self):
        """The value of the highest rate that was kept; None when not even the lowest was."""
        return self._near(self.best_rate) if self.best_rate else self._double()

    def _double(self):
        rate, kept, value = self.start, None, None
        while rate <= self.highest:
            ok, found = self.try_rate(rate)
            if not ok:
                break
            kept, value, rate = rate, found, rate * 2
        if kept is None:
            value = self._down(rate / 2)
            return None if value is None else self._up(self.best_rate * FINE, value)
        self.best_rate = kept
        return self._up(kept * 2 ** 0.5, value, factor=FINE)

    def _near(self, rate):
        ok, found = self.try_rate(rate)
        if not ok:
            return self._down(rate / FINE)
        return self._up(rate * FINE, found)

    def _up(self, rate, value, factor=FINE):
        """From a rate that may be kept upwards; when it is not, what lies between it and the best one is looked at once."""
        while rate <= self.highest:
            ok, found = self.try_rate(rate)
            if not ok:
                break
            self.best_rate, value, rate = rate, found, rate * factor
        between = (self.best_rate * rate) ** 0.5
        if rate > self.best_rate * FINE * FINE and between <= self.highest:
            ok, found = self.try_rate(between)
            if ok:
                self.best_rate, value = between, found
        return value

    def _down(self, rate):
        for _ in range(6):
            ok, found = self.try_rate(rate)
            if ok:
                self.best_rate = rate
                return found
            rate /= FINE * FINE
        return None
