"""Checks of the exercises, one module a chapter.

A chapter writes ``from helpers.check import bce_and_logits as check`` and then
``check.<exercise>(answer)``. Every check answers "not yet", a hint, or "correct".
"""
