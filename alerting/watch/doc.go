// Package watch runs the alert rules while messages pass: it decodes what the journal hands
// over, lets the engine of package rules/alerts see it, keeps the engine's state now and
// then, and hands on the alerts that began and ended.
//
// It decides nothing itself, and sends nothing to people. Messages come from the journal,
// device-days and indicators from the worker that computes them; alerts go to package
// alerting and to the store. After a restart it goes on from the state that was kept last
// and sees again what came since; alerts that were handed on before are handed on again, and
// mean the same.
package watch
