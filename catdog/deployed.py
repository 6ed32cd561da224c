"""The flow `catdog` by the name that deployments know it by."""

from importlib import import_module

from catdog.entry.packages import claim

claim()
catdog = import_module("flows.catdog").catdog
