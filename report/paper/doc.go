// Package paper lays out an A4 document: text in lines broken by the rules of Unicode, tables
// over several pages, drawings, an outline. It knows no noun of ours; package report says
// what stands on the pages.
package paper
