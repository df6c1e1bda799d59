package access_test

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"greentally/access"
)

var (
	roles   = []access.Role{access.RoleAdministrator, access.RoleManager, access.RoleAssessor, access.RoleMonitor, access.RoleScreen, "owner", ""}
	actions = []access.Action{access.Read, access.Write, access.Judge, access.Screen, access.Monitor, access.Administer, "dance", ""}
)

func TestMay(t *testing.T) {
	tests := []struct {
		role access.Role
		want []access.Action // in its community
		none []access.Action // of no community
	}{
		{access.RoleAdministrator, actions[:6], actions[:6]},
		{access.RoleManager, []access.Action{access.Read, access.Write, access.Screen}, nil},
		{access.RoleAssessor, []access.Action{access.Read, access.Judge, access.Screen}, nil},
		{access.RoleScreen, []access.Action{access.Screen}, nil},
		{access.RoleMonitor, nil, []access.Action{access.Monitor}},
		{"owner", nil, nil},
		{"", nil, nil},
	}
	for _, tt := range tests {
		p := access.Principal{Bindings: []access.Binding{{Role: tt.role, Communities: []string{"jiayuan"}}}}
		for _, a := range actions {
			if got, want := p.May(a, "jiayuan"), slices.Contains(tt.want, a); got != want {
				t.Errorf("%s may %s in its community: %v", tt.role, a, got)
			}
			if got, want := p.May(a, ""), slices.Contains(tt.none, a); got != want {
				t.Errorf("%s may %s of no community: %v", tt.role, a, got)
			}
			if got, want := p.May(a, "elsewhere"), tt.role == access.RoleAdministrator && slices.Contains(tt.want, a); got != want {
				t.Errorf("%s may %s elsewhere: %v", tt.role, a, got)
			}
		}
	}
	if nameless := (access.Principal{Bindings: []access.Binding{{Role: access.RoleManager, Communities: []string{""}}}}); nameless.May(access.Write, "") {
		t.Error("a manager of a community without a name writes what is of none")
	}
	two := access.Principal{Bindings: []access.Binding{{Role: access.RoleManager, Communities: []string{"a"}}, {Role: access.RoleAssessor, Communities: []string{"a", "b"}}}}
	if !two.May(access.Write, "a") || two.May(access.Write, "b") || !two.May(access.Read, "b") || !two.Is(access.RoleAssessor) || two.Is(access.RoleScreen) {
		t.Error("a manager of a who assesses b may do something else")
	}
	if role, may := two.As(access.Read, "b"); role != access.RoleAssessor || !may {
		t.Errorf("reads b as %q", role)
	}
}

// TestBounds asks principals with bindings at random: nobody but an administrator gets at a
// community that no binding names, assessors and screens write nothing, screens read nothing, and
// another binding never takes anything away.
func TestBounds(t *testing.T) {
	communities := []string{"a", "b", "c", ""}
	binding := rapid.Custom(func(t *rapid.T) access.Binding {
		return access.Binding{Role: rapid.SampledFrom(roles).Draw(t, "role"), Communities: rapid.SliceOfN(rapid.SampledFrom(communities), 0, 3).Draw(t, "communities")}
	})
	rapid.Check(t, func(t *rapid.T) {
		p := access.Principal{Bindings: rapid.SliceOfN(binding, 0, 4).Draw(t, "bindings")}
		action, community := rapid.SampledFrom(actions).Draw(t, "action"), rapid.SampledFrom(communities).Draw(t, "community")
		var here []access.Role // what it is in the community
		for _, b := range p.Bindings {
			if slices.Contains(b.Communities, community) && community != "" {
				here = append(here, b.Role)
			}
		}
		may := p.May(action, community)
		administers := p.Is(access.RoleAdministrator)
		monitors := p.Is(access.RoleMonitor) && action == access.Monitor && community == ""
		switch {
		case may && !slices.Contains(actions[:6], action):
			t.Fatalf("may do what nobody knows, %q", action)
		case may && !administers && !monitors && len(here) == 0:
			t.Fatalf("may %s in %q, which no binding names", action, community)
		case may && !administers && action == access.Write && !slices.Contains(here, access.RoleManager):
			t.Fatalf("writes as %v", here)
		case may && !administers && action == access.Read && !slices.Contains(here, access.RoleManager) && !slices.Contains(here, access.RoleAssessor):
			t.Fatalf("reads as %v", here)
		case may && !administers && action == access.Judge && !slices.Contains(here, access.RoleAssessor):
			t.Fatalf("judges as %v", here)
		case may && !administers && action == access.Administer:
			t.Fatalf("administers as %v", here)
		}
		more := access.Principal{Bindings: append(slices.Clone(p.Bindings), binding.Draw(t, "more"))}
		if may && !more.May(action, community) {
			t.Fatal("a further binding took something away")
		}
	})
}

func TestContext(t *testing.T) {
	p := access.Principal{Name: "root", Bindings: []access.Binding{{Role: access.RoleAdministrator}}}
	if got := access.From(p.In(t.Context())); got.Name != "root" || !got.May(access.Administer, "") {
		t.Errorf("from the context: %+v", got)
	}
	if got := access.From(context.Background()); got.May(access.Read, "a") || got.Name != "" {
		t.Errorf("from a context without: %+v", got)
	}
}
