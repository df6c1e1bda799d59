package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	neturl "net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"

	"greentally"
	"greentally/ingest"
)

// inbox is a journal of the tests.
type inbox struct {
	mu       sync.Mutex
	messages []greentally.Message
	refuse   bool
}

func (b *inbox) submit(_ context.Context, d ingest.Delivery) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse {
		d.Ack(errors.New("full"))
		return nil
	}
	b.messages = append(b.messages, d.Message)
	d.Ack(nil)
	return nil
}

func (b *inbox) all() []greentally.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]greentally.Message(nil), b.messages...)
}

func startBroker(t *testing.T, box *inbox, users ...ingest.User) string {
	t.Helper()
	broker, err := ingest.StartBroker(t.Context(), ingest.BrokerConfig{Listen: "127.0.0.1:0", Users: users},
		box.submit, ingest.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	return "tcp://" + broker.Addr.String()
}

func connect(t *testing.T, url, username, password string, options ...func(*paho.ClientOptions)) (paho.Client, error) {
	t.Helper()
	o := paho.NewClientOptions().AddBroker(url).SetClientID(t.Name() + username).SetUsername(username).SetPassword(password).
		SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
	for _, option := range options {
		option(o)
	}
	client := paho.NewClient(o)
	token := client.Connect()
	token.Wait()
	if token.Error() == nil {
		t.Cleanup(func() { client.Disconnect(0) })
	}
	return client, token.Error()
}

// waitFor waits until the condition holds.
func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestBrokerAcknowledgesOnlyWhatTheJournalTook(t *testing.T) {
	var box inbox
	url := startBroker(t, &box)
	client, err := connect(t, url, "", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if token := client.Publish("t", 1, false, fmt.Sprint(i)); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatalf("publication %d: %v", i, token.Error())
		}
	}
	for i, m := range box.all() {
		if m.Topic != "t" || string(m.Payload) != fmt.Sprint(i) {
			t.Errorf("message %d is %q on %q", i, m.Payload, m.Topic)
		}
	}
	if n := len(box.all()); n != 50 {
		t.Errorf("journal has %d messages, want 50", n)
	}

	box.mu.Lock()
	box.refuse = true
	box.mu.Unlock()
	if client.Publish("t", 1, false, "refused").WaitTimeout(300 * time.Millisecond) {
		t.Error("a message that the journal did not take was acknowledged")
	}
}

// withWill gives a client a last will, and its connection to the test, to break it.
func withWill(topic string, conn *net.Conn) func(*paho.ClientOptions) {
	return func(o *paho.ClientOptions) {
		o.SetWill(topic, "offline", 1, true).SetCustomOpenConnectionFn(func(u *neturl.URL, _ paho.ClientOptions) (c net.Conn, err error) {
			c, err = net.Dial("tcp", u.Host)
			*conn = c
			return c, err
		})
	}
}

func TestBrokerKeepsTheLastWill(t *testing.T) {
	var box inbox
	url := startBroker(t, &box)
	var conn net.Conn
	if _, err := connect(t, url, "", "", withWill("s", &conn)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil { // an orderly disconnect would send no will
		t.Fatal(err)
	}
	waitFor(t, "the last will", func() bool {
		all := box.all()
		return len(all) == 1 && all[0].Topic == "s" && string(all[0].Payload) == "offline"
	})
}

func TestBrokerLetsUsersPublishUnderTheirOwnTopicOnly(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := []ingest.User{
		{Username: "c/bin-1", PasswordBcrypt: string(hash)},
		{Username: "gateway", PasswordBcrypt: string(hash), Publish: []string{"greentally/v1/c/+/readings"}, Subscribe: []string{"greentally/v1/c/#"}},
	}
	for _, u := range users {
		if err := u.Validate(); err != nil {
			t.Error(err)
		}
	}
	tests := []struct {
		user, password, topic string
		connects, publishes   bool
	}{
		{"", "", "", false, false},
		{"c/bin-1", "wrong", "", false, false},
		{"nobody", "secret", "", false, false},
		{"c/bin-1", "secret", "greentally/v1/c/bin-1/readings", true, true},
		{"c/bin-1", "secret", "greentally/v1/c/bin-2/readings", true, false},
		{"c/bin-1", "secret", "greentally/v1/c/bin-1x", true, false},
		{"gateway", "secret", "greentally/v1/c/bin-2/readings", true, true},
		{"gateway", "secret", "greentally/v1/d/bin-2/readings", true, false},
	}
	for _, tt := range tests {
		t.Run(tt.user+" "+tt.password+" "+tt.topic, func(t *testing.T) {
			var box inbox
			url := startBroker(t, &box, users...)
			client, err := connect(t, url, tt.user, tt.password)
			if (err == nil) != tt.connects {
				t.Fatalf("connect: %v, want success to be %v", err, tt.connects)
			}
			if !tt.connects {
				return
			}
			client.Publish(tt.topic, 1, false, "x").WaitTimeout(5 * time.Second)
			if got := len(box.all()) == 1; got != tt.publishes {
				t.Errorf("published is %v, want %v", got, tt.publishes)
			}
		})
	}
}

func TestBrokerRefusesAWillForAnotherTopic(t *testing.T) {
	var box inbox
	withUsers, without := startBroker(t, &box, user(t, "c/bin-1")), startBroker(t, &box)
	for _, tt := range []struct {
		url, topic string
		allowed    bool
	}{
		{withUsers, "greentally/v1/c/bin-1/status", true},
		{withUsers, "greentally/v1/c/bin-2/readings", false},
		{withUsers, "greentally/v1/c/bin-1/+", false},
		{withUsers, "greentally/v1/c/bin-1/#", false},
		{without, "anything", true},
		{without, "any/+/thing", false},
		{without, "#", false},
		{without, "$SYS/broker/uptime", false},
	} {
		_, err := connect(t, tt.url, "c/bin-1", "secret", func(o *paho.ClientOptions) { o.SetWill(tt.topic, "offline", 1, true) })
		if (err == nil) != tt.allowed {
			t.Errorf("connect with a will for %s: %v, want success to be %v", tt.topic, err, tt.allowed)
		}
	}
}

// user is a user with the password secret.
func user(t *testing.T, name string, subscribe ...string) ingest.User {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return ingest.User{Username: name, PasswordBcrypt: string(hash), Subscribe: subscribe}
}

func TestUserValidate(t *testing.T) {
	const salted = "abcdefghijklmnopqrstuuWRUb0nlyNW0pS1qGZVuYqJf4t5yTKCi"
	for _, tt := range []struct {
		name  string
		user  ingest.User
		right bool
	}{
		{"right", ingest.User{Username: "a", PasswordBcrypt: "$2a$10$" + salted}, true},
		{"by htpasswd", ingest.User{Username: "a", PasswordBcrypt: "$2y$14$" + salted}, true},
		{"plain password", ingest.User{Username: "a", PasswordBcrypt: "secret"}, false},
		{"no name", ingest.User{PasswordBcrypt: "$2a$04$" + salted}, false},
		{"wildcard", ingest.User{Username: "a/#", PasswordBcrypt: "$2a$04$" + salted}, false},
		{"cost of hours", ingest.User{Username: "a", PasswordBcrypt: "$2a$31$" + salted}, false},
		{"cost of seconds", ingest.User{Username: "a", PasswordBcrypt: "$2a$15$" + salted}, false},
		{"cost too low", ingest.User{Username: "a", PasswordBcrypt: "$2a$03$" + salted}, false},
		{"not its alphabet", ingest.User{Username: "a", PasswordBcrypt: "$2a$10$" + salted[1:] + "!"}, false},
		{"too long", ingest.User{Username: "a", PasswordBcrypt: "$2a$10$" + salted + "x"}, false},
		{"too short", ingest.User{Username: "a", PasswordBcrypt: "$2a$10$" + salted[1:]}, false},
	} {
		if err := tt.user.Validate(); (err == nil) != tt.right {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Whoever knows another user's client ID neither ends its session nor gets what is kept for it.
func TestSessionsBelongToUsers(t *testing.T) {
	var box inbox
	url := startBroker(t, &box, user(t, "a", "#"), user(t, "b"), ingest.User{Username: "p", PasswordBcrypt: user(t, "p").PasswordBcrypt, Publish: []string{"#"}})
	var mu sync.Mutex
	got := map[string][]string{}
	as := func(username string) paho.Client {
		t.Helper()
		client, err := connect(t, url, username, "secret", func(o *paho.ClientOptions) {
			o.SetClientID("shared").SetCleanSession(false).SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
				mu.Lock()
				defer mu.Unlock()
				got[username] = append(got[username], string(m.Payload()))
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	publish := func(payload string) {
		t.Helper()
		client, err := connect(t, url, "p", "secret")
		if err != nil {
			t.Fatal(err)
		}
		if token := client.Publish("greentally/v1/a/x", 1, false, payload); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	owner := as("a")
	if token := owner.Subscribe("greentally/#", 1, nil); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	other := as("b")
	publish("to both")
	waitFor(t, "the message to the owner", func() bool { mu.Lock(); defer mu.Unlock(); return len(got["a"]) == 1 })
	if !owner.IsConnectionOpen() || !other.IsConnectionOpen() {
		t.Error("a session of one user ended that of another")
	}
	owner.Disconnect(100)
	publish("to the one who is away")
	other.Disconnect(100)
	as("b").Disconnect(100)
	as("a")
	waitFor(t, "what was kept for the owner", func() bool { mu.Lock(); defer mu.Unlock(); return len(got["a"]) == 2 })
	mu.Lock()
	defer mu.Unlock()
	if len(got["b"]) != 0 {
		t.Errorf("another user got %q", got["b"])
	}
}

func TestBrokerSubscriptions(t *testing.T) {
	var box inbox
	url := startBroker(t, &box, user(t, "some", "greentally/v1/c/#"), user(t, "all", "#"), user(t, "sys", "$SYS/#"))
	for _, tt := range []struct {
		user, filter string
		granted      bool
	}{
		{"some", "greentally/v1/c/bin-1/readings", true},
		{"some", "$share/group/greentally/v1/c/+/readings", true},
		{"some", "$share/group/greentally/v1/d/+/readings", false},
		{"some", "$share/group/#", false},
		{"some", "$SYS/broker/uptime", false},
		{"all", "#", true},
		{"all", "$SYS/broker/uptime", false},
		{"all", "$share/group/$SYS/#", false},
		{"all", "x/" + strings.Repeat("y", 2000), false},
		{"all", strings.Repeat("x/", 40) + "x", false},
		{"sys", "$SYS/broker/uptime", true},
	} {
		t.Run(tt.user+" "+tt.filter[:min(len(tt.filter), 50)], func(t *testing.T) {
			client, err := connect(t, url, tt.user, "secret")
			if err != nil {
				t.Fatal(err)
			}
			if granted := isGranted(t, client, tt.filter); granted != tt.granted {
				t.Errorf("granted is %v", granted)
			}
		})
	}

	client, err := connect(t, url, "all", "secret")
	if err != nil {
		t.Fatal(err)
	}
	granted := 0
	for i := range 150 {
		if isGranted(t, client, fmt.Sprint("many/", i)) {
			granted++
		}
	}
	if granted != 100 {
		t.Errorf("%d subscriptions were granted, want 100", granted)
	}
}

// isGranted subscribes, and reports whether the broker grants it.
func isGranted(t *testing.T, client paho.Client, filter string) bool {
	t.Helper()
	token := client.Subscribe(filter, 1, nil)
	if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("subscribe: %v", token.Error())
	}
	for _, code := range token.(*paho.SubscribeToken).Result() {
		return code < 0x80
	}
	t.Fatal("the broker did not say")
	return false
}

// No packet of a client ends the program.
func TestBrokerOutlivesMalformedPackets(t *testing.T) {
	var box inbox
	url := startBroker(t, &box)
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	connect5 := []byte{0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 60, 0, 0, 1, 'x'}
	for name, packet := range map[string][]byte{
		"SUBSCRIBE without options": {0x82, 6, 0, 1, 0, 0, 1, 'x'},
		"empty PUBLISH":             {0x32, 0},
		"UNSUBSCRIBE cut short":     {0xa2, 3, 0, 1, 9},
		"AUTH":                      {0xf0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", u.Host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(append(connect5, packet...)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) { // until it is closed
				t.Fatal(err)
			}
		})
	}
	if _, err := connect(t, url, "", ""); err != nil {
		t.Error(err)
	}
}

func TestBrokerKeepsFewMessagesForWhoIsAway(t *testing.T) {
	var box inbox
	url := startBroker(t, &box)
	var got atomic.Int64
	marker := make(chan struct{}, 1)
	session := func(o *paho.ClientOptions) {
		o.SetClientID("away").SetCleanSession(false).SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			if m.Topic() == "marker" {
				marker <- struct{}{}
				return
			}
			got.Add(1)
		})
	}
	away, err := connect(t, url, "", "", session)
	if err != nil {
		t.Fatal(err)
	}
	if token := away.Subscribe("#", 1, nil); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	away.Disconnect(100)
	client, err := connect(t, url, "", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if token := client.Publish("t", 1, false, fmt.Sprint(i)); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	if _, err := connect(t, url, "", "", session); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "what was kept", func() bool { return got.Load() >= 100 })
	if token := client.Publish("marker", 0, false, ""); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	<-marker
	if n := got.Load(); n != 100 {
		t.Errorf("%d messages were kept, want 100", n)
	}
	if n := len(box.all()); n != 301 {
		t.Errorf("journal has %d messages, want 301", n)
	}
}

// BenchmarkBroker publishes at QoS 1 from some clients at once.
func BenchmarkBroker(b *testing.B) {
	for _, size := range []int{200, 20_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			broker, err := ingest.StartBroker(b.Context(), ingest.BrokerConfig{Listen: "127.0.0.1:0"},
				func(_ context.Context, d ingest.Delivery) error { d.Ack(nil); return nil }, ingest.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			defer broker.Close()
			payload := make([]byte, size)
			var next atomic.Int64
			b.SetBytes(int64(size))
			b.SetParallelism(8)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + broker.Addr.String()).SetClientID(fmt.Sprint("c", next.Add(1))))
				if token := client.Connect(); token.Wait() && token.Error() != nil {
					b.Error(token.Error())
					return
				}
				defer client.Disconnect(0)
				for pb.Next() {
					if token := client.Publish("t", 1, false, payload); token.Wait() && token.Error() != nil {
						b.Error(token.Error())
						return
					}
				}
			})
		})
	}
}

// A device could fill the memory with what it lets the broker retain.
func TestBrokerRetainsNothing(t *testing.T) {
	var box inbox
	url := startBroker(t, &box)
	var conn net.Conn
	client, err := connect(t, url, "", "", withWill("will", &conn))
	if err != nil {
		t.Fatal(err)
	}
	if token := client.Publish("kept", 1, true, "x"); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	if err := conn.Close(); err != nil { // a broken connection sends the will
		t.Fatal(err)
	}
	waitFor(t, "both messages to be kept", func() bool { return len(box.all()) == 2 })
	var mu sync.Mutex
	var got []string
	late, err := connect(t, url, "", "", func(o *paho.ClientOptions) {
		o.SetClientID("late").SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, m.Topic())
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if token := late.Subscribe("#", 1, nil); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	late.Publish("marker", 1, false, "x")
	waitFor(t, "the marker", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) > 0 })
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 1 || got[0] != "marker" {
		t.Errorf("a new subscriber got %v, want the marker alone", got)
	}
}
