// Package strictyaml reads the project's YAML files: an unknown key is an error,
// all errors of a file come at once, and each names file and line. A [Folder] is where
// files stand that are read together.
//
// It knows no type of the project: callers bring their structs, check what YAML
// cannot, and ask the [Doc] for the place of what they found wrong.
package strictyaml
