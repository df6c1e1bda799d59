// Package factors loads dated figures of public sources, such as the carbon dioxide that a
// kilowatt-hour from the grid stands for: one YAML file each, with its editions, where they
// were published, and tests.
//
// It is data that indicators multiply by; it computes nothing, and reads no clock: which
// edition counts follows from the day that is asked about. Files come from the program and
// from the user's folder, and go to package indicators.
package factors
