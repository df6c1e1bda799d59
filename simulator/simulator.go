package simulator

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"greentally"
)

// Options say what to simulate and where to publish it.
type Options struct {
	Community *greentally.Community
	Location  *time.Location
	Start     time.Time // the day in which it lies is simulated from its beginning
	Seed      uint64
	Faults    Faults

	Brokers  []string // URLs, tried in turn
	Username string
	Password string
	TLS      *tls.Config

	// Sink, if not nil, takes the messages instead of a broker.
	Sink func(topic string, payload []byte)

	// Batch is how many readings of a device go into one message, at most; 1 if 0.
	Batch int

	// Speed is how many times faster than time itself it goes; 0 is as fast as it can.
	Speed float64

	// Progress, if not nil, is told how far the model has come.
	Progress func(until time.Time, readings int)
	// Acked, if not nil, is told of each reading that the broker acknowledged.
	Acked func(device string, at time.Time)
	Log   *slog.Logger
}

// Simulator is a community whose devices are connected to a broker.
type Simulator struct {
	options Options
	model   *model
	random  *rand.Rand // for faults
	clients map[string]paho.Client
	pending map[string][]reading // lost to nobody: read, but not yet in a message
	late    lateMessages
	events  map[time.Time][]func() // faults that are still to come
	silent  map[string]time.Time   // devices that say nothing, and from when on
	virtual time.Time
}

// New makes a community and connects each of its devices, unless there is a sink.
func New(ctx context.Context, o Options) (*Simulator, error) {
	o.Batch = max(1, o.Batch)
	start := greentally.DateOf(o.Start, o.Location).Start(o.Location)
	m, err := newModel(o.Community, o.Location, start, o.Seed)
	if err != nil {
		return nil, err
	}
	s := &Simulator{options: o, model: m, random: rand.New(rand.NewPCG(o.Seed, 1)), clients: map[string]paho.Client{},
		pending: map[string][]reading{}, events: map[time.Time][]func(){}, silent: map[string]time.Time{}, virtual: start}
	if o.Sink != nil {
		return s, nil
	}
	for _, d := range m.devices {
		client, err := s.connect(ctx, d)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("connect device %s to %v: %w", d.ID, o.Brokers, err)
		}
		s.clients[d.ID] = client
	}
	return s, nil
}

func (s *Simulator) topic(d *device, name string) string {
	return "greentally/v1/" + s.options.Community.ID + "/" + d.ID + "/" + name
}

// connect connects a device for the first time.
//
// The client does not reconnect by itself: its session would send the pending messages
// again, but report them as acknowledged before they are. So the session is a clean
// one, and a message whose acknowledgement did not come is published again.
func (s *Simulator) connect(ctx context.Context, d *device) (paho.Client, error) {
	status := s.topic(d, "status")
	o := paho.NewClientOptions().
		SetClientID("sim-"+s.options.Community.ID+"-"+d.ID).
		SetUsername(s.options.Username).SetPassword(s.options.Password).SetTLSConfig(s.options.TLS).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).
		SetWill(status, "offline", 1, true).
		SetConnectTimeout(10 * time.Second).SetKeepAlive(60 * time.Second).SetWriteTimeout(5 * time.Second).
		SetOnConnectHandler(func(c paho.Client) { c.Publish(status, 1, true, "online") })
	for _, url := range s.options.Brokers {
		o.AddBroker(url)
	}
	client := paho.NewClient(o)
	token := client.Connect()
	select {
	case <-token.Done():
		return client, token.Error()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// reconnect connects the device again if it is not connected, and tries until it works.
func (s *Simulator) reconnect(ctx context.Context, d *device) error {
	client := s.clients[d.ID]
	begin := time.Now()
	for wait := 50 * time.Millisecond; !client.IsConnectionOpen(); wait = min(2*wait, 2*time.Second) {
		token := client.Connect()
		select {
		case <-token.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
		err := token.Error()
		if err == nil {
			return nil
		}
		if time.Since(begin) > patience {
			return fmt.Errorf("connect device %s again, for %v: %w", d.ID, patience, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close says that the devices go offline, and disconnects them.
func (s *Simulator) Close() {
	var done sync.WaitGroup
	for _, d := range s.model.devices {
		client := s.clients[d.ID]
		if client == nil {
			continue
		}
		done.Go(func() {
			if client.IsConnectionOpen() {
				client.Publish(s.topic(d, "status"), 1, true, "offline").WaitTimeout(5 * time.Second)
			}
			client.Disconnect(100)
		})
	}
	done.Wait()
}

// Truth returns what the model knows by now.
func (s *Simulator) Truth() Truth {
	s.model.truth.summarise(s.options.Community, s.options.Location)
	return *s.model.truth
}

// chunk is how much virtual time the devices advance by at once, at full speed.
const chunk = 6 * time.Hour

// Run simulates until the given instant, publishes what the devices say, and returns
// when the broker has acknowledged all of it. What the faults hold back is published
// before it returns. It can be called again with a later instant.
func (s *Simulator) Run(ctx context.Context, until time.Time) error {
	s.planFaults(until)
	step := chunk
	if s.options.Speed > 0 {
		step = time.Duration(min(s.options.Speed, 3600)) * time.Second
		step = max(step, time.Second)
	}
	begin, from := time.Now(), s.virtual
	for s.virtual.Before(until) {
		next := s.virtual.Add(step)
		if next.After(until) {
			next = until
		}
		if s.options.Speed > 0 {
			due := begin.Add(time.Duration(float64(next.Sub(from)) / s.options.Speed))
			select {
			case <-time.After(time.Until(due)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := s.advance(ctx, next); err != nil {
			return err
		}
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	s.model.truth.To = until
	return nil
}

// Live goes on in real time until ctx is done.
func (s *Simulator) Live(ctx context.Context) error {
	s.options.Batch = 1
	for {
		now := time.Now()
		if s.virtual.Before(now) {
			if err := s.advance(ctx, now); err != nil {
				return err
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil
		}
	}
}

// silence is how long a device says nothing that Faults.Silent chooses.
const silence = 48 * time.Hour

// planFaults chooses devices and times for the faults that happen once.
func (s *Simulator) planFaults(until time.Time) {
	var meters []*lighting
	for _, d := range s.model.devices {
		if l, ok := d.world.(*lighting); ok {
			meters = append(meters, l)
		}
	}
	s.random.Shuffle(len(meters), func(i, j int) { meters[i], meters[j] = meters[j], meters[i] })
	span := until.Sub(s.virtual)
	f := &s.options.Faults
	if span > 0 {
		at := func() time.Time {
			return s.virtual.Add(time.Duration(s.random.Int64N(int64(span)))).Truncate(chunk)
		}
		each := func(n int, do func(*lighting, time.Time)) { // each to a meter of its own
			for range min(n, len(meters)) {
				l, when := meters[0], at()
				meters = meters[1:]
				s.events[when] = append(s.events[when], func() { do(l, s.virtual) })
			}
		}
		each(f.Reset, func(l *lighting, _ time.Time) { l.reset() })
		each(f.Replace, func(l *lighting, when time.Time) {
			s.model.truth.Events = append(s.model.truth.Events, l.replace(when, s.options.Location))
		})
		for range min(f.Wrap, len(meters)) {
			meters[0].nearWrap()
			meters = meters[1:]
		}
		for range min(f.Silent, len(s.model.devices)) {
			s.silent[s.model.devices[s.random.IntN(len(s.model.devices))].ID] = at()
		}
	}
	f.Reset, f.Wrap, f.Replace, f.Silent = 0, 0, 0, 0
}

// advance advances the model to next and publishes what the devices said.
func (s *Simulator) advance(ctx context.Context, next time.Time) error {
	for at, events := range s.events {
		if !at.After(s.virtual) {
			for _, event := range events {
				event()
			}
			delete(s.events, at)
		}
	}
	f := s.options.Faults
	var acks []ack
	for _, d := range s.model.devices {
		s.model.readings(d, next, func(r reading) {
			from, quiet := s.silent[d.ID]
			quiet = quiet && !r.at.Before(from) && r.at.Before(from.Add(silence))
			if quiet || f.Loss > 0 && s.random.Float64() < f.Loss {
				s.model.truth.Lost++
				return
			}
			s.pending[d.ID] = append(s.pending[d.ID], r)
			if len(s.pending[d.ID]) >= s.options.Batch {
				s.send(&acks, d)
			}
		})
	}
	s.virtual = next
	for len(s.late) > 0 && !s.late[0].due.After(next) {
		m := heap.Pop(&s.late).(lateMessage)
		s.publish(&acks, m.message)
	}
	if err := s.wait(ctx, acks); err != nil {
		return err
	}
	if s.options.Progress != nil {
		s.options.Progress(next, s.model.truth.Readings)
	}
	return nil
}

// flush publishes all that is still held back.
func (s *Simulator) flush(ctx context.Context) error {
	var acks []ack
	for _, d := range s.model.devices {
		if len(s.pending[d.ID]) > 0 {
			s.send(&acks, d)
		}
	}
	for len(s.late) > 0 {
		m := heap.Pop(&s.late).(lateMessage)
		s.publish(&acks, m.message)
	}
	return s.wait(ctx, acks)
}

// send makes a message of the device's pending readings, and publishes it now or later.
func (s *Simulator) send(acks *[]ack, d *device) {
	readings := s.pending[d.ID]
	delete(s.pending, d.ID)
	payload := encode(readings)
	s.model.truth.Readings += len(readings)
	f := s.options.Faults
	times := make([]time.Time, len(readings))
	for i, r := range readings {
		times[i] = r.at
	}
	if f.Late > 0 && s.random.Float64() < lateShare {
		due := readings[len(readings)-1].at.Add(time.Duration(s.random.Int64N(int64(f.Late))))
		heap.Push(&s.late, lateMessage{message{d, payload, times}, due})
	} else {
		s.publish(acks, message{d, payload, times})
	}
	if f.Duplicate > 0 && s.random.Float64() < f.Duplicate {
		s.model.truth.Duplicates += len(readings)
		s.publish(acks, message{d, payload, times})
	}
	if f.Malformed > 0 && s.random.Float64() < f.Malformed {
		s.model.truth.Malformed++
		s.publish(acks, message{device: d, payload: payload[:len(payload)-1]})
	}
}

// publish publishes a message, which is to be acknowledged.
func (s *Simulator) publish(acks *[]ack, m message) {
	s.model.truth.Messages++
	*acks = append(*acks, ack{m, s.transmit(m)})
}

func (s *Simulator) transmit(m message) paho.Token {
	if s.options.Sink != nil {
		s.options.Sink(s.topic(m.device, "readings"), m.payload)
		return &paho.DummyToken{}
	}
	return s.clients[m.device.ID].Publish(s.topic(m.device, "readings"), 1, false, m.payload)
}

// encode writes readings as the native profile's JSON: one object, or a list.
func encode(readings []reading) []byte {
	b := make([]byte, 0, 128*len(readings)+2)
	if len(readings) > 1 {
		b = append(b, '[')
	}
	for i, r := range readings {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"time":`...)
		b = strconv.AppendInt(b, r.at.UnixMilli(), 10)
		for _, v := range r.values {
			b = append(b, `,"`...)
			b = append(b, v.Quantity...)
			b = append(b, `":`...)
			if v.State != "" {
				b = append(b, '"')
				b = append(b, v.State...)
				b = append(b, '"')
			} else {
				b = strconv.AppendFloat(b, v.Number, 'f', -1, 64)
			}
		}
		b = append(b, '}')
	}
	if len(readings) > 1 {
		b = append(b, ']')
	}
	return b
}

// message is what a device publishes.
type message struct {
	device  *device
	payload []byte
	times   []time.Time // of the readings in it; nil if nobody can read them
}

// ack is a message that is not known to be acknowledged yet.
type ack struct {
	message
	token paho.Token
}

// lateMessage is a message that is held back until due.
type lateMessage struct {
	message
	due time.Time
}

// patience is how long acknowledgements may stay away, reconnections included.
const patience = 5 * time.Minute

// wait waits for the acknowledgements. A message whose connection broke before is
// published again.
func (s *Simulator) wait(ctx context.Context, acks []ack) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for len(acks) > 0 {
		a := acks[0]
		acks = acks[1:]
		select {
		case <-a.token.Done():
			timer.Reset(patience)
		case <-timer.C:
			return fmt.Errorf("device %s: the broker did not acknowledge within %v", a.device.ID, patience)
		case <-ctx.Done():
			return ctx.Err()
		}
		if a.token.Error() != nil {
			if err := s.reconnect(ctx, a.device); err != nil {
				return err
			}
			acks = append(acks, ack{a.message, s.transmit(a.message)})
			continue
		}
		if s.options.Acked != nil {
			for _, at := range a.times {
				s.options.Acked(a.device.ID, at)
			}
		}
	}
	return nil
}

// lateMessages is a heap, the earliest first.
type lateMessages []lateMessage

func (l lateMessages) Len() int { return len(l) }
func (l lateMessages) Less(i, j int) bool {
	return cmp.Or(l[i].due.Compare(l[j].due), cmp.Compare(l[i].device.ID, l[j].device.ID)) < 0
}
func (l lateMessages) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l *lateMessages) Push(x any)   { *l = append(*l, x.(lateMessage)) }
func (l *lateMessages) Pop() any {
	old := *l
	last := old[len(old)-1]
	*l = old[:len(old)-1]
	return last
}
