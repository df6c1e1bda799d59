// Package alerting brings alerts to people by Alertmanager's own packages, which run in
// the process: grouping, repetition, inhibition, mute times, silences, receivers of all
// kinds, and the v2 API that amtool and Grafana speak. Its configuration is the standard
// alertmanager.yml, or [Defaults] made from the communities' contacts. With an
// Alertmanager elsewhere, a [Remote] takes the place of the [Manager].
//
// Alerts come in through Put, from whoever evaluates rules. Out go notifications: mails
// through the function that the caller gives, everything else by Alertmanager's
// notifiers. What must survive a kill goes to a [State] at each change: the alerts, whom
// they were told to, whom they are owed to because the mail server was down, and silences.
//
// The package decides nothing about what an alert is, and reads no readings, rules or
// communities. It does not end alerts by itself either: one that holds does so until Put
// says otherwise. Whoever starts the program compares [Manager.Holding] with what its
// rules know, and ends the rest.
//
// Of a configuration the sections tracing and event_recorder are passed over, and there
// is no gossip: one process notifies.
package alerting
