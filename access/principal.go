package access

import (
	"context"
	"slices"
	"strings"

	"greentally"
)

// Role is what somebody is.
type Role string

// The roles. Administrators and monitors are so for the whole program, the others in
// communities.
const (
	RoleAdministrator Role = "administrator" // may do everything
	RoleManager       Role = "manager"       // reads and writes what belongs to its communities
	RoleAssessor      Role = "assessor"      // reads all evidence of its communities, and writes nothing but its judgement of applications
	RoleMonitor       Role = "monitor"       // a token for Prometheus: metrics and status alone
	RoleScreen        Role = "screen"        // a token for the big screen of one community: that alone
)

// Title is what people call the role.
func (r Role) Title() greentally.Text {
	zh := map[Role]string{RoleAdministrator: "管理员", RoleManager: "物业经理", RoleAssessor: "评估员", RoleMonitor: "监控", RoleScreen: "大屏"}
	return greentally.Text{ZH: zh[r], EN: string(r)}
}

// Action is what somebody wants to do.
type Action string

// The actions. Read, Write, Judge and Screen are of a community; Monitor and Administer are of none.
const (
	Read       Action = "read"       // all evidence
	Write      Action = "write"      // records, silences, acknowledgements, applications, exports, adopted devices
	Judge      Action = "judge"      // steps of applications that are the authority's: surveyed, accepted, named, returned, rejected, revoked
	Screen     Action = "screen"     // what the big screen shows
	Monitor    Action = "monitor"    // metrics and status
	Administer Action = "administer" // users, tokens, dead letters, what belongs to no community
)

// Binding makes somebody something in communities.
type Binding struct {
	Role        Role     `json:"role"`
	Communities []string `json:"communities,omitempty"` // none for an administrator or a monitor
}

// Principal is who asks. The zero one may do nothing.
type Principal struct {
	Name     string // a user's, "token:" and a token's, or [Anyone]
	Display  string // for people; may be empty
	Language string // "zh", "en", or empty
	Bindings []Binding
	Address  string // the IP address that it asks from
	Session  bool   // it has logged in, and can log out
}

// Anyone is the name of whoever asks while there are no users.
const Anyone = "local:anyone"

// May reports whether the principal may do something in a community. For what is of no
// community the name is empty.
func (p Principal) May(a Action, community string) bool {
	_, may := p.As(a, community)
	return may
}

// As returns the role by which the principal may do something, for the audit log; false if it
// may not.
func (p Principal) As(a Action, community string) (Role, bool) {
	for _, b := range p.Bindings {
		if b.allows(a, community) {
			return b.Role, true
		}
	}
	return "", false
}

func (b Binding) allows(a Action, community string) bool {
	switch b.Role {
	case RoleAdministrator:
		return slices.Contains([]Action{Read, Write, Judge, Screen, Monitor, Administer}, a)
	case RoleMonitor:
		return a == Monitor && community == ""
	}
	if community == "" || !slices.Contains(b.Communities, community) {
		return false
	}
	switch b.Role {
	case RoleManager:
		return a == Read || a == Write || a == Screen
	case RoleAssessor:
		return a == Read || a == Judge || a == Screen
	case RoleScreen:
		return a == Screen
	}
	return false
}

// Is reports whether the principal is something anywhere.
func (p Principal) Is(r Role) bool {
	return slices.ContainsFunc(p.Bindings, func(b Binding) bool { return b.Role == r })
}

// validate reports what is wrong with a binding of a user or a token.
func (b Binding) validate() error {
	sorted := slices.Sorted(slices.Values(b.Communities))
	switch {
	case !slices.Contains([]Role{RoleAdministrator, RoleManager, RoleAssessor, RoleMonitor, RoleScreen}, b.Role):
		return invalid("没有角色 %q", "role %q is none of administrator, manager, assessor, monitor, screen", b.Role)
	case b.Role == RoleAdministrator || b.Role == RoleMonitor:
		if len(b.Communities) > 0 {
			return invalid("角色“%s”不限于某些社区，请不要选社区", "a role of %s is not bound to communities", b.Role.Title())
		}
	case len(b.Communities) == 0 || sorted[0] == "":
		return invalid("请选择角色“%s”的社区", "name the communities of role %s", b.Role.Title())
	case len(slices.Compact(sorted)) < len(b.Communities):
		return invalid("角色“%s”有一个社区写了两次", "role %s names a community twice", b.Role.Title())
	case b.Role == RoleScreen && len(b.Communities) > 1:
		return invalid("一块大屏只属于一个社区", "a screen is of one community")
	}
	return nil
}

// Granted says in a line what bindings grant.
func Granted(bindings ...Binding) string {
	all := make([]string, len(bindings))
	for i, b := range bindings {
		all[i] = strings.TrimSpace(string(b.Role) + " " + strings.Join(b.Communities, ","))
	}
	return strings.Join(all, "; ")
}

type contextKey struct{}

// In returns a context in which [From] finds the principal.
func (p Principal) In(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// From returns the principal of a request; one that may do nothing if there is none.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(contextKey{}).(Principal)
	return p
}
