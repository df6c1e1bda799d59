// Package web serves the JSON API, metrics and health over HTTP.
//
// It computes nothing: what it answers comes from functions that it is given, and
// what it is sent goes to functions that it is given. It knows neither the journal
// nor the store nor the rules.
package web
