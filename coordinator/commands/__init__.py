"""The commands of the command line that talk to a running coordinator, over its API and nothing else.

`grammar` tells the parser of them all and imports none; each family is a module of its own, which is loaded when one of
its commands is run. What a command writes goes through `writing`, and how it ends is told in `endings`.
"""
