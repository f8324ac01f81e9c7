"""The whole engine in one thread, on a clock and a chance of its own, with every port faked.

world            one life of everything: faults, then peace, then what must be true
process          one process of the engine: claims, folds, commits, delivers; may die anywhere
chance           which faults there are and when; all of it follows from the seed
trace            what happened, in order, so that a failing seed can be read
virtual_loop     an event loop whose time passes when nothing else can happen
memory_redis     a Redis that knows the commands that we send, and can go back in time
memory_commands  those commands
memory_scripts   what the relay's scripts do
wire             the way to it: lost, late, and torn
shop             the events, and what must come of them, read one after the other
waiting          who waits for a time, and what must come of it
timekeeper       the same at each state of Redis
memory_receiver  the far side of webhooks
witness          looks at each write to Redis, and at each delivery
writes           what a write to Redis is about
calm             a world without faults, for tests that play by hand
sabotage         the engine with one protection taken out: what must be found
seeds            many worlds, in a row
"""
