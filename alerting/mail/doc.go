// Package mail writes mails about alerts and months that are worth opening, and hands them
// to an SMTP server.
//
// Somebody who is told at night wants to know four things at a glance: what is the
// matter, where, since when, and what to do. A mail says so in the recipient's language,
// in its subject already, with a picture of the last day, and can be read on a phone,
// in the dark, and without pictures. The mail that an alert is over belongs to the same
// thread as the one that it began.
//
// Who hands in a month wants to know how it stands without opening what is attached: what
// fails and by how much, what lacks evidence that is worth having, what each scheme says, and
// what to do next.
//
// Alerts and months come in as arguments, names and readings through functions of [Options].
// Out go mails, one for each call, and nothing else: the package keeps no state, no queue and
// no list of recipients. Whom to tell, when, how often and whether to try again is for the
// caller, whom an [Error] tells whether that can help. Readings that cannot be had cost a
// mail its picture, never its delivery.
//
// All that an alert, a month, a community or a device says is taken as text that anybody may
// have written: it becomes neither markup nor headers.
//
// # Templates
//
// What mails look like is in the folder templates, and each of its files can be
// overridden by a file of the same name in [Options].Templates:
//
//   - alert.html.tmpl and alert.txt.tmpl, for alerts that begin and end;
//   - digest.html.tmpl and digest.txt.tmpl, for the list of what is open;
//   - month.html.tmpl and month.txt.tmpl, for a month and its files;
//   - frame.html.tmpl, what the HTML of all has in common;
//   - words.yaml, the words in both languages. One that overrides may leave out words.
//
// Templates are those of html/template and text/template, and see a [Page].
package mail
