// Package access says who may see and do what, and remembers who there is.
//
// A [Principal] is who asks: a user, a token, or anyone on this machine while there are no
// users. What it may do is a pure function of its bindings, each a role in communities; what is
// not known is refused. [Users] and [Tokens] are in key-value buckets of JetStream, and a copy
// of both is in memory, which follows the buckets: a user who is disabled in one program is out
// in all. Every change of users is refused if any other change came between, so that two
// programs cannot together take the last administrator away. [Audit] is the log of who did
// what; it is only ever added to.
//
// Passwords are kept as bcrypt hashes and tokens as SHA-256, and neither leaves the package: a
// password is given to it to be checked, a token is told once, when it is made.
//
// The package knows neither HTTP nor what is guarded. How one proves who one is to a web server
// is in access/login; which action a request is, its server says.
package access
