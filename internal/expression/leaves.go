package expression

import (
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// Leaves returns what an expression takes from its environment, as it is written there, each
// once: such as mass_kg.collected.
func Leaves(text string) ([]string, error) {
	if err := short(text); err != nil {
		return nil, err
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, err
	}
	var found leaves
	ast.Walk(&tree.Node, &found)
	var names []string
	for _, node := range found {
		if name := node.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// leaves are the names that a walk came upon, each with all its members.
type leaves []ast.Node

// Visit is called for what is inside a node before the node itself.
func (l *leaves) Visit(node *ast.Node) {
	if member, ok := (*node).(*ast.MemberNode); ok {
		*l = slices.DeleteFunc(*l, func(n ast.Node) bool { return n == member.Node })
	}
	if isLeaf(*node) {
		*l = append(*l, *node)
	}
}

// isLeaf reports whether the node is a name, or a member of one.
func isLeaf(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		return true
	case *ast.MemberNode:
		_, named := n.Property.(*ast.StringNode)
		return named && isLeaf(n.Node)
	}
	return false
}
