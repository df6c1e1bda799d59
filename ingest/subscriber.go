package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"greentally"
)

// SubscriberConfig describes the user's own broker.
type SubscriberConfig struct {
	URLs     []string // such as tcp://host:1883 or tls://host:8883, tried in turn
	ClientID string   // must stay the same, so that the broker keeps the session
	Username string
	Password string
	TLS      *tls.Config
	Topics   []string // topic filters
	Group    string   // subscribe as $share/<group>/…, for several replicas; may be empty
}

// Subscriber takes messages from the user's own broker: QoS 1, a persistent session,
// and an acknowledgement for each message once the journal has it.
type Subscriber struct {
	config  SubscriberConfig
	submit  func(context.Context, Delivery) error
	metrics *Metrics
	log     *slog.Logger

	connected atomic.Bool
	pending   atomic.Int64 // messages that the journal has not answered for yet

	mu     sync.Mutex
	topics []string    // subscribed to when connected
	client paho.Client // nil until Run
}

// NewSubscriber makes a subscriber; Run runs it.
func NewSubscriber(config SubscriberConfig, submit func(context.Context, Delivery) error, metrics *Metrics, log *slog.Logger) *Subscriber {
	return &Subscriber{config: config, submit: submit, metrics: metrics, log: log, topics: config.Topics}
}

// Connected reports whether it is connected and subscribed.
func (s *Subscriber) Connected() bool { return s.connected.Load() }

// Run connects, and takes messages until ctx is done. It reconnects by itself; it
// fails only if a broker refuses the subscription.
func (s *Subscriber) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	options := paho.NewClientOptions()
	for _, url := range s.config.URLs {
		options.AddBroker(url)
	}
	options.SetClientID(s.config.ClientID).
		SetUsername(s.config.Username).
		SetPassword(s.config.Password).
		SetCleanSession(false).
		SetAutoAckDisabled(true).
		SetOrderMatters(true).
		SetConnectRetry(true).
		SetConnectRetryInterval(time.Second).
		SetMaxReconnectInterval(10 * time.Second).
		SetAutoReconnect(true).
		SetKeepAlive(30 * time.Second)
	if s.config.TLS != nil {
		options.SetTLSConfig(s.config.TLS)
	}
	// A resumed session delivers before anything is subscribed to again, so the
	// handler must be the default one.
	options.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { s.receive(ctx, m) })
	options.SetOnConnectHandler(func(client paho.Client) {
		s.mu.Lock()
		topics := s.topics
		s.mu.Unlock()
		token := client.SubscribeMultiple(s.filters(topics), nil)
		go func() {
			<-token.Done()
			if err := subscribeError(token); err != nil {
				if client.IsConnectionOpen() {
					cancel(fmt.Errorf("subscribe at the broker: %w; check that the user may read these topics", err))
				}
				return
			}
			s.connected.Store(true)
			s.log.Info("connected to the MQTT broker", "topics", topics)
		}()
	})
	options.SetConnectionLostHandler(func(_ paho.Client, err error) {
		s.connected.Store(false)
		s.log.Warn("connection to the MQTT broker lost; reconnecting", "error", err)
	})
	options.SetConnectionNotificationHandler(func(_ paho.Client, n paho.ConnectionNotification) {
		if failed, ok := n.(paho.ConnectionNotificationBrokerFailed); ok {
			s.log.Warn("MQTT broker not reached; trying again", "broker", failed.Broker.Redacted(), "error", failed.Reason)
		}
	})

	client := paho.NewClient(options)
	s.mu.Lock()
	s.client = client
	s.mu.Unlock()
	client.Connect() // retries until it succeeds
	<-ctx.Done()
	s.connected.Store(false)
	// Acknowledge what the journal has taken, so that it does not come again.
	for patience := time.Now().Add(5 * time.Second); s.pending.Load() > 0 && time.Now().Before(patience); {
		time.Sleep(5 * time.Millisecond)
	}
	client.Disconnect(250)
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// filters are the topic filters as they are sent to the broker, with QoS 1.
func (s *Subscriber) filters(topics []string) map[string]byte {
	filters := map[string]byte{}
	for _, topic := range topics {
		if s.config.Group != "" {
			topic = "$share/" + s.config.Group + "/" + topic
		}
		filters[topic] = 1
	}
	return filters
}

// SetTopics changes the topic filters while it runs. What the broker refuses is logged;
// the other topics go on.
func (s *Subscriber) SetTopics(topics []string) {
	s.mu.Lock()
	before, client := s.filters(s.topics), s.client
	s.topics = topics
	s.mu.Unlock()
	if client == nil || !s.Connected() {
		return // the next connection subscribes to them
	}
	added, removed := s.filters(topics), []string(nil)
	for filter := range before {
		if _, stays := added[filter]; stays {
			delete(added, filter)
		} else {
			removed = append(removed, filter)
		}
	}
	if len(added) > 0 {
		token := client.SubscribeMultiple(added, nil)
		go func() {
			<-token.Done()
			if err := subscribeError(token); err != nil {
				s.log.Error("the MQTT broker refused new topics; check that the user may read them", "error", err)
				return
			}
			s.log.Info("subscribed to more topics", "topics", slices.Sorted(maps.Keys(added)))
		}()
	}
	if len(removed) > 0 {
		client.Unsubscribe(removed...) // if it fails, what comes is of no known topic
	}
}

// subscribeError returns the error of a subscription, refusals by the broker included.
func subscribeError(token paho.Token) error {
	if err := token.Error(); err != nil {
		return err
	}
	if t, ok := token.(*paho.SubscribeToken); ok {
		for topic, code := range t.Result() {
			if code > 2 {
				return fmt.Errorf("topic %q refused with code 0x%02x", topic, code)
			}
		}
	}
	return nil
}

// receive hands the message to the journal. It blocks while the journal's queue is
// full; the broker then keeps what follows.
func (s *Subscriber) receive(ctx context.Context, m paho.Message) {
	if ctx.Err() != nil {
		return // stopping; the broker keeps it
	}
	s.metrics.received.WithLabelValues("subscriber").Inc()
	message := greentally.Message{Topic: m.Topic(), Payload: m.Payload()}
	s.pending.Add(1)
	err := s.submit(ctx, Delivery{Message: message, Ack: func(err error) {
		defer s.pending.Add(-1)
		if err == nil {
			m.Ack()
		}
	}})
	if err == nil {
		return
	}
	s.pending.Add(-1)
	if ctx.Err() == nil {
		s.log.Warn("message not taken; the broker will send it again", "topic", m.Topic(), "error", err)
	}
}
