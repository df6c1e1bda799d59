// Package bundle packs what a community hands in for a month into one ZIP file that anyone can
// check without the program that made it: a manifest with the SHA-256 of every file, and the
// manifest's signature in minisign's format.
//
// Files come in as bytes and go out as bytes. The package knows what is in a bundle by name,
// not by meaning: whether the figures in it follow from the evidence in it is for the caller to
// compute. It makes no keys lie around: a private key is given to it.
package bundle
