"""A Ctrl-C that a library swallows."""

import signal
import threading

import pytest

from lensmith.core.interrupt import kept_interrupts


def _library() -> None:
    """As TensorFlow does while it traces."""
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        raise TypeError("Could not generate a generic TraceType") from None


def test_what_a_library_makes_of_ctrl_c_is_a_ctrl_c_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), kept_interrupts():
        _library()
    assert signal.getsignal(signal.SIGINT) is before


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(TypeError), kept_interrupts():
        raise TypeError
    with pytest.raises(KeyboardInterrupt), kept_interrupts():
        signal.raise_signal(signal.SIGINT)


def test_it_can_be_used_in_another_thread() -> None:
    done = []

    def work() -> None:
        with kept_interrupts():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
