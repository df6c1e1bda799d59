package pages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"greentally"
	"greentally/access"
	"greentally/web"
)

// Access keeps users and tokens, and reads the audit log. What people can mend is said by errors
// that wrap [web.ErrBadRequest] or [web.ErrConflict].
type Access struct {
	Provider bool // people can log in by an OpenID provider, too

	Users       func() []access.User
	User        func(name string) (access.User, error)
	AddUser     func(ctx context.Context, u access.User, password string) (access.User, error)
	ChangeUser  func(ctx context.Context, u access.User) (access.User, error)
	SetPassword func(ctx context.Context, name, password string) (access.User, error)
	RemoveUser  func(ctx context.Context, name string, revision uint64) error

	Tokens      func() []access.Token
	AddToken    func(ctx context.Context, t access.Token) (secret string, err error)
	RevokeToken func(ctx context.Context, name string) error

	// Entries are those of the audit log that a request asks for by who, community and before, the
	// latest first, [EntriesShown] at most.
	Entries func(r *http.Request) ([]access.Entry, error)
}

// EntriesShown is how many entries of the audit log are told at once.
const EntriesShown = 100

// administrators shows a page to those alone who may administer.
func administrators(show func(*view) (any, error)) func(*view) (any, error) {
	return func(v *view) (any, error) {
		if !v.may(web.Administer) {
			return nil, web.ErrForbidden
		}
		return show(v)
	}
}

// choosable are the communities that there are, and further ones, whose files may be gone.
func (p *Pages) choosable(v *view, further ...string) []*greentally.Community {
	all := slices.DeleteFunc(slices.Clone(p.Communities()), func(c *greentally.Community) bool { return !p.May(v.Context(), web.Read, c.ID) })
	for _, id := range further {
		if id != "" && !slices.ContainsFunc(all, func(c *greentally.Community) bool { return c.ID == id }) {
			all = append(all, &greentally.Community{ID: id})
		}
	}
	return all
}

// boundRoles are the roles of users that are ones in communities.
func boundRoles() []access.Role { return []access.Role{access.RoleManager, access.RoleAssessor} }

// userList is what the page of the users shows, userShown that of one.
type (
	userList struct {
		Users []access.User
		choices
	}
	userShown struct {
		access.User
		choices
		Self  bool // it is the one who looks
		Stale bool // somebody else changed it while the form was filled in
	}
	choices struct {
		Communities []*greentally.Community
		Bound       []access.Role
		Provider    bool
	}
)

func (p *Pages) choices(v *view, further ...string) choices {
	return choices{p.choosable(v, further...), boundRoles(), p.Access.Provider}
}

func (p *Pages) users(v *view) (any, error) {
	v.onlySent()
	return userList{p.Access.Users(), p.choices(v)}, nil
}

// onlySent has a form begin empty, whatever the address says: a link cannot fill it in.
func (v *view) onlySent() {
	if v.sent == nil {
		v.sent = url.Values{}
	}
}

// self reports whether a user is the one who asks.
func (p *Pages) self(v *view, u access.User) bool { return p.Account.Me(v.Context()).Name == u.Name }

func (p *Pages) user(v *view) (any, error) {
	u, err := p.Access.User(v.PathValue("id"))
	if err == nil && v.sent == nil {
		v.sent = fieldsOfUser(u)
	}
	var bound []string
	for _, b := range u.Bindings {
		bound = append(bound, b.Communities...)
	}
	return userShown{u, p.choices(v, bound...), p.self(v, u), v.stale}, err
}

// fieldsOfUser are what the form of a user begins with.
func fieldsOfUser(u access.User) url.Values {
	fields := url.Values{"revision": {strconv.FormatUint(u.Revision, 10)}, "display": {u.Display}, "email": {u.Email}, "subject": {u.Subject}, "language": {u.Language}}
	if u.Disabled {
		fields.Set("disabled", "yes")
	}
	for _, b := range u.Bindings {
		fields[string(b.Role)] = append(fields[string(b.Role)], b.Communities...)
		if len(b.Communities) == 0 {
			fields.Set(string(b.Role), "yes")
		}
	}
	return fields
}

// userOf returns a user with what a form says. A password is not shown again.
func (v *view) userOf(u access.User) access.User {
	get := func(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }
	u.Display, u.Email, u.Subject, u.Language, u.Disabled = get("display"), get("email"), get("subject"), get("language"), get("disabled") != ""
	u.Bindings = []access.Binding{}
	if get(string(access.RoleAdministrator)) != "" {
		u.Bindings = append(u.Bindings, access.Binding{Role: access.RoleAdministrator})
	}
	for _, role := range boundRoles() {
		if in := v.PostForm[string(role)]; len(in) > 0 {
			u.Bindings = append(u.Bindings, access.Binding{Role: role, Communities: in})
		}
	}
	v.sent = v.PostForm
	v.sent.Del("password")
	v.sent.Del("again")
	AboutUser(v.Request, u)
	return u
}

// AboutUser says for the audit what a request would have a user be.
func AboutUser(r *http.Request, u access.User) {
	web.About(r, "grants", access.Granted(u.Bindings...))
	if u.Disabled {
		web.About(r, "disabled", "true")
	}
}

func (p *Pages) addUser(v *view) (string, error) {
	name, password, again := strings.TrimSpace(v.PostFormValue("name")), v.PostFormValue("password"), v.PostFormValue("again")
	web.About(v.Request, "id", name)
	u := v.userOf(access.User{Name: name})
	switch {
	case password == "" && !p.Access.Provider:
		return "", v.wrong("password_missing")
	case password == "" && u.Email+u.Subject == "":
		return "", v.wrong("no_way_in")
	case password != again:
		return "", v.wrong("passwords_differ")
	case len(u.Bindings) == 0:
		return "", v.wrong("no_role")
	}
	_, err := p.Access.AddUser(v.Context(), u, password)
	return "/users?done=user_added", err
}

// revision is that of the user that a form was made of.
func (v *view) revision() (uint64, error) {
	revision, err := strconv.ParseUint(v.PostFormValue("revision"), 10, 64)
	if err != nil {
		return 0, v.wrong("bad_form")
	}
	return revision, nil
}

func (p *Pages) changeUser(v *view) (string, error) {
	u, err := p.Access.User(v.PathValue("id"))
	if err != nil {
		return "", err
	}
	if u.Revision, err = v.revision(); err != nil {
		return "", err
	}
	changed := v.userOf(u)
	if p.self(v, u) && (changed.Disabled || !changed.Principal("").Is(access.RoleAdministrator)) {
		return "", v.wrong("not_oneself")
	}
	if _, err = p.Access.ChangeUser(v.Context(), changed); errors.Is(err, access.ErrChanged) {
		if now, gone := p.Access.User(u.Name); gone == nil { // who sees it as it is now can insist
			v.stale = true
			v.sent.Set("revision", strconv.FormatUint(now.Revision, 10))
		}
	}
	return v.userPath() + "?done=user_changed", err
}

// userPath is where the user is whom the path names.
func (v *view) userPath() string { return "/users/" + url.PathEscape(v.PathValue("id")) }

func (p *Pages) setPassword(v *view) (string, error) {
	u, err := p.Access.User(v.PathValue("id"))
	if err != nil {
		return "", err
	}
	password := v.PostFormValue("password")
	switch {
	case p.self(v, u):
		return "", v.wrong("own_password")
	case password == "": // which would take it away
		return "", v.wrong("no_password_given")
	case password != v.PostFormValue("again"):
		return "", v.wrong("passwords_differ")
	}
	_, err = p.Access.SetPassword(v.Context(), u.Name, password)
	return v.userPath() + "?done=password_set", err
}

func (p *Pages) removeUser(v *view) (string, error) {
	u, err := p.Access.User(v.PathValue("id"))
	if err != nil {
		return "", err
	}
	revision, err := v.revision()
	switch {
	case err != nil:
		return "", err
	case p.self(v, u):
		return "", v.wrong("not_oneself")
	}
	return "/users?done=user_removed", p.Access.RemoveUser(v.Context(), u.Name, revision)
}

// tokenList is what the page of the tokens shows.
type tokenList struct {
	Tokens      []access.Token
	Communities []*greentally.Community
	Roles       []access.Role
	Made        *madeToken // just now
}

// madeToken is what is told of a token once.
type madeToken struct {
	Name, Secret string
	Screen       string // the address that a screen begins with, if it is for one
}

func (p *Pages) tokens(v *view) (any, error) {
	v.onlySent()
	return tokenList{p.Access.Tokens(), p.choosable(v), []access.Role{access.RoleScreen, access.RoleMonitor, access.RoleAssessor, access.RoleManager, access.RoleAdministrator}, v.made}, nil
}

// addToken makes a token. The page that answers is the only place where its secret stands.
func (p *Pages) addToken(v *view) (string, error) {
	t := access.Token{Name: strings.TrimSpace(v.PostFormValue("name"))}
	t.Role, t.Communities = access.Role(v.PostFormValue("role")), v.PostForm["community"]
	v.sent = v.PostForm
	web.About(v.Request, "id", t.Name, "grants", access.Granted(t.Binding))
	secret, err := p.Access.AddToken(v.Context(), t)
	if errors.Is(err, access.ErrThere) { // it may be that the form was sent twice
		err = fmt.Errorf("%w: %w", err, greentally.TextErrorf("如果是刚才重复提交的，请撤销后重新新增", "if you sent this twice, revoke that one and make another"))
	}
	if err != nil {
		return "", err
	}
	v.sent, v.made = nil, &madeToken{Name: t.Name, Secret: secret}
	if t.Role == access.RoleScreen {
		scheme := "http"
		if p.Secure(v.Request) {
			scheme = "https"
		}
		v.made.Screen = (&url.URL{Scheme: scheme, Host: v.Host, Path: "/screen", RawQuery: url.Values{"token": {secret}}.Encode()}).String()
	}
	return "", nil
}

func (p *Pages) revokeToken(v *view) (string, error) {
	return "/tokens?done=token_revoked", p.Access.RevokeToken(v.Context(), v.PathValue("id"))
}

// entryList is what the page of the audit log shows.
type entryList struct {
	Entries     []access.Entry
	Names       []string // of those who can be asked for
	Communities []*greentally.Community
	Older       string // the query of those before; empty if there are none
}

func (p *Pages) audit(v *view) (any, error) {
	entries, err := p.Access.Entries(v.Request)
	query := v.URL.Query()
	list := entryList{Entries: entries, Communities: p.choosable(v, query.Get("community"))}
	for _, u := range p.Access.Users() {
		list.Names = append(list.Names, u.Name)
	}
	for _, t := range p.Access.Tokens() {
		list.Names = append(list.Names, t.Principal("").Name)
	}
	if len(entries) == EntriesShown {
		query.Set("before", strconv.FormatUint(entries[len(entries)-1].ID, 10))
		list.Older = "?" + query.Encode()
	}
	return list, err
}

// Did says what an entry's action is, by the route of the API or of the page; empty if there is no
// word for it.
func (f frame) Did(action string) string {
	_, path, _ := strings.Cut(action, " /")
	path = strings.TrimPrefix(path, "api/v1/")
	for _, of := range []string{"communities/{community}/", "c/{community}/"} {
		path = strings.TrimPrefix(path, of)
	}
	name := "did_" + strings.NewReplacer("/", "_", "{", "", "}", "").Replace(cmp.Or(path, action))
	if word := f.word(name); word != name {
		return word
	}
	return ""
}

// Detail says what a detail of an entry is called, or its value; as it is if there is no word for it.
func (f frame) Detail(parts ...string) string {
	name := "detail_" + strings.ReplaceAll(strings.Join(parts, "_"), " ", "_")
	if word := f.word(name); word != name {
		return word
	}
	return parts[len(parts)-1]
}

// Named is what a community is called; its ID if its file is gone.
func (f frame) Named(id string) string { return cmp.Or(f.named(id).Name.In(f.Language), id) }

// Chosen reports whether a form has a value of a field chosen.
func (f frame) Chosen(name, value string) bool { return slices.Contains(f.sent[name], value) }

// Administration are the ways to what administrators alone see.
func (f frame) Administration() (all []link) {
	for _, name := range []string{"users", "tokens", "audit", "deadletters"} {
		path := "/" + name
		all = append(all, link{path, name, f.URL.Path == path || strings.HasPrefix(f.URL.Path, path+"/")})
	}
	return all
}
