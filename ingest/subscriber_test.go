package ingest_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"

	"greentally/ingest"
	"greentally/internal/testserver"
)

// subscribe runs a subscriber until the returned function is called.
func subscribe(t *testing.T, url string, submit func(context.Context, ingest.Delivery) error) (*ingest.Subscriber, func()) {
	t.Helper()
	s := ingest.NewSubscriber(ingest.SubscriberConfig{URLs: []string{url}, ClientID: "greentally-test", Topics: []string{"t/+"}},
		submit, ingest.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	waitFor(t, "the subscription", s.Connected)
	return s, stop
}

func publish(t *testing.T, url string, from, to int) {
	t.Helper()
	client, err := connect(t, url, "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(100)
	var tokens []paho.Token
	for i := from; i < to; i++ {
		tokens = append(tokens, client.Publish(fmt.Sprintf("t/%d", i%3), 1, false, fmt.Sprint(i)))
	}
	for _, token := range tokens {
		if !token.WaitTimeout(20*time.Second) || token.Error() != nil {
			t.Fatalf("publish: %v", token.Error())
		}
	}
}

func payloads(b *inbox) map[string]int {
	seen := map[string]int{}
	for _, m := range b.all() {
		seen[string(m.Payload)]++
	}
	return seen
}

func TestSubscriberTakesEverythingOnce(t *testing.T) {
	broker := testserver.Mosquitto(t)
	var box inbox
	_, stop := subscribe(t, broker.URL(), box.submit)
	publish(t, broker.URL(), 0, 500)
	waitFor(t, "500 messages", func() bool { return len(payloads(&box)) == 500 })
	stop()

	// While nobody listens the broker keeps the messages, because of the session.
	publish(t, broker.URL(), 500, 600)
	_, stop = subscribe(t, broker.URL(), box.submit)
	waitFor(t, "the messages sent meanwhile", func() bool { return len(payloads(&box)) == 600 })
	stop()
	if n := len(box.all()); n != 600 {
		t.Errorf("%d messages were taken, want each of 600 once: those acknowledged must not come again", n)
	}
}

func TestSubscriberGetsAgainWhatItDidNotAcknowledge(t *testing.T) {
	broker := testserver.Mosquitto(t)
	var box inbox
	// Nothing is acknowledged by the first one: it only takes note.
	var held sync.Mutex
	got := map[string]bool{}
	_, stop := subscribe(t, broker.URL(), func(_ context.Context, d ingest.Delivery) error {
		held.Lock()
		got[string(d.Message.Payload)] = true
		held.Unlock()
		d.Ack(ingest.ErrClosed)
		return nil
	})
	publish(t, broker.URL(), 0, 300)
	waitFor(t, "the first messages", func() bool { held.Lock(); defer held.Unlock(); return len(got) > 0 })
	stop()
	_, stop = subscribe(t, broker.URL(), box.submit)
	waitFor(t, "all messages", func() bool { return len(payloads(&box)) == 300 })
	stop()
}

func TestSubscriberOutlivesTheBroker(t *testing.T) {
	broker := testserver.Mosquitto(t)
	var box inbox
	s, stop := subscribe(t, broker.URL(), box.submit)
	publish(t, broker.URL(), 0, 10)
	// A broker that is killed forgets what it has not delivered.
	waitFor(t, "10 messages", func() bool { return len(payloads(&box)) == 10 })
	broker.Stop()
	waitFor(t, "the loss of the connection", func() bool { return !s.Connected() })
	broker.Start()
	waitFor(t, "the connection", s.Connected)
	publish(t, broker.URL(), 10, 20)
	waitFor(t, "20 messages", func() bool { return len(payloads(&box)) == 20 })
	stop()
}

func TestSubscriberTakesMoreTopicsWhileItRuns(t *testing.T) {
	broker := testserver.Mosquitto(t)
	var box inbox
	s, stop := subscribe(t, broker.URL(), box.submit)
	s.SetTopics([]string{"t/+", "u/#"})
	client, err := connect(t, broker.URL(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a message of the new topic", func() bool {
		client.Publish("u/x", 1, false, "new").WaitTimeout(time.Second)
		return payloads(&box)["new"] > 0
	})
	s.SetTopics([]string{"u/#"})
	round := 0
	waitFor(t, "the end of the old topic", func() bool {
		round++
		marker, before := fmt.Sprint("round ", round), payloads(&box)["old"]
		client.Publish("t/1", 1, false, "old").WaitTimeout(time.Second)
		client.Publish("u/x", 1, false, marker).WaitTimeout(time.Second)
		waitFor(t, "a message of the topic that stays", func() bool { return payloads(&box)[marker] > 0 })
		return payloads(&box)["old"] == before
	})
	stop()
}
