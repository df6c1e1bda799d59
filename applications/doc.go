// Package applications keeps what communities apply for: the course of each application from
// its draft through submission, survey and acceptance to the title (申报 → 调研 → 验收 → 命名),
// as a log of steps that is only ever added to. It lives in JetStream, synced on each append.
//
// Which step may follow which is a pure function of the steps before; one that may not is
// refused with the reason. What is frozen by a submission is an evidence bundle: its bytes lie
// in JetStream's object store, and the step names them by their hash. The package neither
// computes nor reads figures; who may do what is for the caller to say.
package applications
