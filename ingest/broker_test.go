package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	neturl "net/url"
	"sync"
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
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	var box inbox
	url := startBroker(t, &box, ingest.User{Username: "c/bin-1", PasswordBcrypt: string(hash)})
	for topic, allowed := range map[string]bool{"greentally/v1/c/bin-1/status": true, "greentally/v1/c/bin-2/readings": false} {
		_, err := connect(t, url, "c/bin-1", "secret", func(o *paho.ClientOptions) { o.SetWill(topic, "offline", 1, true) })
		if (err == nil) != allowed {
			t.Errorf("connect with a will for %s: %v, want success to be %v", topic, err, allowed)
		}
	}
}

func TestUserValidate(t *testing.T) {
	for name, u := range map[string]ingest.User{
		"plain password": {Username: "a", PasswordBcrypt: "secret"},
		"no name":        {PasswordBcrypt: "$2a$04$abcdefghijklmnopqrstuuWRUb0nlyNW0pS1qGZVuYqJf4t5yTKCi"},
		"wildcard":       {Username: "a/#", PasswordBcrypt: "$2a$04$abcdefghijklmnopqrstuuWRUb0nlyNW0pS1qGZVuYqJf4t5yTKCi"},
	} {
		if u.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
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
