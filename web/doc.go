// Package web serves the JSON API, which openapi.yaml describes, metrics and health over HTTP, and the
// pages that it is given; and it tells pages when they should look again.
//
// It computes nothing: what it answers comes from functions that it is given, and
// what it is sent goes to functions that it is given. It knows neither the journal
// nor the store nor the rules.
package web
