// Package login finds out who sends a request to a web server, and lets people log in and out.
//
// [Gate.Identify] puts the [access.Principal] into the request's context: by a bearer token, the
// cookie of a session, or that of a big screen. Who has none of them is sent to /login for a page
// and told 401 for anything else. While there are no users and no token is configured, whoever
// asks on this machine under a loopback name is administrator, and nobody else is let in.
//
// People log in by a password ([Gate.LogIn]) or by an OpenID provider ([Gate.BeginOpenID],
// [Gate.FinishOpenID]); either way only who was entered as a user. Tries are limited by name and
// by address. A session is a key in JetStream, under the hash of what is in the cookie; it names
// a user and a generation of that user's sessions. The user is looked up at each request, so
// whoever is disabled, removed or gets another password is out at once, and whoever gets other
// bindings has these. What a request may do is not decided here, but by its server, which asks
// the principal.
//
// # Requests from pages of others
//
// Another origin's page can make a browser send requests with our cookies. Two things stop it,
// and no token in forms is needed: the server's http.CrossOriginProtection refuses what a browser
// says (Sec-Fetch-Site, Origin) comes from elsewhere unless it is GET, HEAD or OPTIONS, which
// change nothing; every browser of the last years says so, over TLS and on localhost. And cookies
// are SameSite=Lax: other sites' forms and scripts do not carry them at all. /login has to be
// behind the same protection, or a page could log its visitors in as somebody else. Bearer tokens
// are sent by no browser of its own accord.
//
// Over TLS cookies have the prefix __Host-, so that no other host of the domain can set them.
package login
