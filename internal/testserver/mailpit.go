package testserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// MailServer is a mail server that delivers to nobody and shows what it was sent. Its
// URL is that of its API.
type MailServer struct {
	*Server
	SMTP string // host:port

	mu    sync.Mutex
	mails map[string]Mail // those that were read already, by ID; mails never change
}

// Mail is a mail as the server took it.
type Mail struct {
	ID          string // under which the server keeps it
	Subject     string
	Text, HTML  string
	Inline      []MailFile
	Attachments []MailFile
	Header      textproto.MIMEHeader
}

// MailFile is a file that a mail shows or carries.
type MailFile struct {
	PartID, ContentID, ContentType, FileName string
	Content                                  []byte
}

// Mailpit starts a mail server that anyone on the machine may use. Flags of Mailpit can
// be added, such as --smtp-auth-file.
func Mailpit(t testing.TB, flags ...string) *MailServer {
	t.Helper()
	binary, err := BuildMailpit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var smtp string
	server := launch(t, func() *Server {
		dir := t.TempDir()
		api := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
		smtp = fmt.Sprintf("127.0.0.1:%d", FreePort(t))
		all := append([]string{
			"--listen", api, "--smtp", smtp, "--database", filepath.Join(dir, "mailpit.db"), "--max", "0",
			"--smtp-disable-rdns", "--disable-version-check", "--quiet",
		}, flags...)
		return &Server{
			t: t, url: "http://" + api,
			command: func() *exec.Cmd { return exec.Command(binary, all...) },
			ready: func() error {
				conn, err := net.Dial("tcp", smtp)
				if err != nil {
					return err
				}
				if err := conn.Close(); err != nil {
					return err
				}
				return ping("http://" + api + "/readyz")
			},
		}
	})
	return &MailServer{Server: server, SMTP: smtp, mails: map[string]Mail{}}
}

// Raw returns a mail as it was sent.
func (s *MailServer) Raw(m Mail) []byte {
	s.t.Helper()
	return s.read("/api/v1/message/" + m.ID + "/raw")
}

// Mails returns the mails that have come, in that order. What the server has accepted is
// among them.
func (s *MailServer) Mails() []Mail {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var list struct{ Messages []struct{ ID string } }
	s.get("/api/v1/messages?limit=100000", &list)
	var mails []Mail
	for _, m := range slices.Backward(list.Messages) { // the latest is first
		mail, ok := s.mails[m.ID]
		if !ok {
			path := "/api/v1/message/" + m.ID
			s.get(path, &mail)
			s.get(path+"/headers", &mail.Header)
			for _, files := range [][]MailFile{mail.Inline, mail.Attachments} {
				for i, file := range files {
					files[i].Content = s.read(path + "/part/" + file.PartID)
				}
			}
			s.mails[m.ID] = mail
		}
		mails = append(mails, mail)
	}
	return mails
}

func (s *MailServer) get(path string, into any) {
	s.t.Helper()
	if err := json.Unmarshal(s.read(path), into); err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
}

func (s *MailServer) read(path string) []byte {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %s %s (%v)", path, response.Status, body, err)
	}
	return body
}

// BuildMailpit builds Mailpit into the module's .cache/bin unless it is there, and
// returns its path.
func BuildMailpit(ctx context.Context) (string, error) {
	return build(ctx, "mailpit", "1.27.11", "github.com/axllent/mailpit")
}
