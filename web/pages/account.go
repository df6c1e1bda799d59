package pages

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"

	"greentally"
	"greentally/access"
	"greentally/web"
)

// Account is what people see and change of themselves.
type Account struct {
	Me func(ctx context.Context) Me
	// ChangePassword gives who asks another password for the old one, and ends the other sessions.
	ChangePassword func(w http.ResponseWriter, r *http.Request, old, password string) error
	SetLanguage    func(ctx context.Context, language string) error
	// Wait and Wrong are as those of [Entrance], for the old password; Invalid reports whether the
	// error says that the new one cannot be one.
	Wait           func(err error) (time.Duration, bool)
	Wrong, Invalid func(err error) bool
}

// Me is who asks.
type Me struct {
	Name, Display, Language string // the last is zh, en or empty
	Roles                   []access.Binding
	LoggedIn                bool // as a user; nothing can be changed by others, such as who bears a token
	Password                bool // the user has one
}

// account is what the page shows.
type account struct {
	Me
	Wrong, Done string // words
}

// routeAccount adds the page of who looks at it, and what can be done there.
func (p *Pages) routeAccount(all map[string]http.Handler, set *template.Template) {
	show := func(w http.ResponseWriter, r *http.Request, status int, wrong string) {
		me := p.Account.Me(r.Context())
		data := account{Me: me, Wrong: wrong}
		if done := r.URL.Query().Get("done"); wrong == "" && slices.Contains([]string{"password_changed", "language_changed"}, done) {
			data.Done = done
		}
		p.answer(w, r, set, status, "account", data)
	}
	change := func(path string, do func(w http.ResponseWriter, r *http.Request) (done string, err error)) {
		all["POST "+path] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
			done, err := "", web.ErrForbidden
			if p.Account.Me(r.Context()).LoggedIn {
				done, err = do(w, r)
			}
			p.Audit(r, r.Pattern, "", err)
			if err != nil {
				status, wrong := p.notChanged(w, err)
				show(w, r, status, wrong)
				return
			}
			http.Redirect(w, r, "/account?"+done, http.StatusSeeOther)
		})
	}
	all["GET /account"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { show(w, r, http.StatusOK, "") })
	all["GET /account/"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // what was posted is asked for again, in another language
		http.Redirect(w, r, "/account?"+r.URL.RawQuery, http.StatusSeeOther)
	})
	change("/account/password", func(w http.ResponseWriter, r *http.Request) (string, error) {
		if r.PostFormValue("new") != r.PostFormValue("again") {
			return "", errDiffer
		}
		return "done=password_changed", p.Account.ChangePassword(w, r, r.PostFormValue("old"), r.PostFormValue("new"))
	})
	change("/account/language", func(_ http.ResponseWriter, r *http.Request) (string, error) {
		language := r.PostFormValue("language")
		if language != "zh" && language != "en" {
			return "", fmt.Errorf("%w: language %.10q is neither zh nor en", web.ErrBadRequest, language)
		}
		return "done=language_changed&lang=" + language, p.Account.SetLanguage(r.Context(), language)
	})
}

// errDiffer says that a new password was not typed twice.
var errDiffer = errors.New("the new password is not the same both times")

// notChanged returns what the page says of an error, in a word.
func (p *Pages) notChanged(w http.ResponseWriter, err error) (status int, wrong string) {
	wait, tooOften := p.Account.Wait(err)
	switch {
	case tooOften:
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		return http.StatusTooManyRequests, "too_often"
	case errors.Is(err, errDiffer):
		return http.StatusBadRequest, "passwords_differ"
	case p.Account.Wrong(err):
		return http.StatusBadRequest, "wrong_old"
	case p.Account.Invalid(err):
		return http.StatusBadRequest, "password_invalid"
	case errors.Is(err, web.ErrForbidden):
		return http.StatusForbidden, "not_logged_in"
	case errors.Is(err, web.ErrBadRequest):
		return http.StatusBadRequest, "failed"
	}
	p.Log.Error("an account is not changed", "error", err)
	return http.StatusServiceUnavailable, "failed"
}

// named returns a community with its name; its ID alone if its file is gone.
func (p *Pages) named(id string) *greentally.Community {
	for _, c := range p.Communities() {
		if c.ID == id {
			return c
		}
	}
	return &greentally.Community{ID: id}
}

// accountWords are the words of the account, and of the way in by a provider.
func accountWords() map[string][2]string {
	return map[string][2]string{
		"account": {"我的账户", "My account"}, "display_name": {"姓名", "Display name"}, "roles": {"角色", "Roles"}, "save": {"保存", "Save"}, "my_language": {"我的语言", "My language"},
		"role_administrator": {"管理员：可查看和管理全部内容", "administrator: may see and do everything"}, "role_manager": {"物业经理：查看并填写所负责社区的资料", "manager: reads and writes what belongs to its communities"},
		"role_assessor": {"评估员：查看所评社区的全部资料，登记调研、验收、命名等评审步骤，不能修改其他内容", "assessor: reads all evidence of its communities, writes down how applications are judged, and nothing else"},
		"role_monitor":  {"监控：查看运行状态", "monitor: reads metrics and status"}, "role_screen": {"大屏：显示一个社区的大屏", "screen: shows the big screen of a community"},
		"no_roles":        {"还没有分配角色，请联系管理员。", "No role was given to you yet; ask an administrator."},
		"change_password": {"修改密码", "Change the password"}, "old_password": {"当前密码", "Password now"}, "new_password": {"新密码", "New password"}, "new_again": {"再输入一次新密码", "New password again"},
		"password_rules":   {"至少 12 个字符，几个词连起来就很好；不要用常见的密码，也不要只是用户名加几个字符。修改后，您在其他设备上的登录都会退出。", "At least 12 characters; a few words do. None of those that anyone tries first, and not just your name and a little. Afterwards you are logged out everywhere else."},
		"passwords_differ": {"两次输入的新密码不一样。", "The new password is not the same both times."}, "wrong_old": {"当前密码不对。", "The password now is wrong."},
		"password_invalid": {"新密码不符合下面的要求。", "The new password is not as it has to be, see below."}, "password_changed": {"密码已修改，其他设备上的登录已退出。", "The password is changed, and you are logged out everywhere else."},
		"language_changed": {"语言已保存。", "The language is saved."}, "no_password": {"您通过统一身份登录，这里没有密码。", "You log in with your organisation's account; there is no password here."},
		"not_logged_in": {"您没有以用户身份登录，这里没有可以修改的内容。", "You have not logged in as a user; there is nothing to change here."},
		"log_in_openid": {"用统一身份登录", "Log in with your organisation's account"}, "openid_unknown": {"统一身份已确认，但您还不是这里的用户，请联系管理员。", "Your organisation knows you, but you are no user here yet; ask an administrator."},
		"openid_again": {"登录没有完成，请重新开始。", "The login was not finished; begin again."}, "openid_away": {"统一身份服务暂时没有响应，请稍后再试，或用密码登录。", "Your organisation's login does not answer now. Try again later, or log in with a password."},
	}
}
