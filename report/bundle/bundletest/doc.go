// Package bundletest changes evidence bundles behind their back, for tests of what finds that out.
//
// It must not import what it tests: a bundle is a ZIP to it. Data comes from a test, and
// goes back to it.
package bundletest
