"""The fault campaign: the whole stack under load while faults are drawn, and a checker that judges every answer.

    campaign     one run: starts the others, and collects the history     stack      what is attacked
    plan         which fault comes when, from the seed                    faults     what can be injected
    injection    injects them, and measures the recovery                  load       clients over HTTP
    observer     what PostgreSQL says past the product                    history    the record of all that
    checker      judges the record                                        report     what is printed and documented

`proofs.consistency` checks the same promise about answers at many times the rate, without HTTP and without faults of
PostgreSQL. Both share the register, the kinds of cache and the replicated Valkey.
"""
