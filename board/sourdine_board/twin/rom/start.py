import power

power.on(globals())
del power
