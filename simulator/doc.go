// Package simulator is a physical model of a community that knows the true answer.
// Households drop waste in two peaks a day, bins are emptied by a schedule that is
// sometimes missed, scales have noise and drift, lamps burn at night; the devices
// report as real MQTT clients, and faults can be mixed in. What the model knows, the
// masses, energies and rates, is the [Truth] that measured rates are held against.
//
// It reads a community (greentally.Community) and publishes to a broker. It knows
// nothing of how readings are stored or rates computed: the truth is the model's own
// account. The same seed gives the same community.
//
// Figures without another source are from docs/simulator.md.
package simulator
