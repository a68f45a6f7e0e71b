package webhook

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
)

// payload is the body of a request: the event, with the members that the specification requires.
type payload struct {
	Type      string         `json:"type"`
	Timestamp time.Time      `json:"timestamp"`
	ID        id.ID          `json:"id"`
	Subject   id.ID          `json:"subject"`
	Data      map[string]any `json:"data"`
	CreatedAt time.Time      `json:"createdAt"`
}

// bodyOf returns the body of a request, the same for every attempt.
func bodyOf(e event.Event) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(payload{
		Type: e.Type, Timestamp: e.CreatedAt, ID: e.ID, Subject: e.Subject, Data: e.Data, CreatedAt: e.CreatedAt,
	})
	return string(bytes.TrimSpace(b.Bytes())), err
}

// chunk is how many events become deliveries in one transaction.
const chunk = 100

// fanOut creates deliveries of all events that the endpoint has not processed.
func (s *Service) fanOut(ctx context.Context, w row) error {
	for {
		at, found, err := s.cfg.Events.Behind(ctx, s.cfg.DB, w.Account, w.after)
		if err != nil && apierr.CodeOf(err) == apierr.EventExpired { // it waited for so long: the rest is sent
			at, found, err = s.cfg.Events.Behind(ctx, s.cfg.DB, w.Account, event.Beginning)
		}
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("webhook %s: its account has no event %s", w.ID, w.after)
		}
		events, next, err := s.cfg.Events.Next(ctx, s.cfg.DB, at, chunk)
		if err != nil || len(events) == 0 {
			return err
		}
		wanted := []outgoing{}
		for _, e := range events {
			if !w.wants(e.Type) {
				continue
			}
			body, err := bodyOf(e)
			if err != nil {
				return err
			}
			wanted = append(wanted, outgoing{
				id: s.cfg.IDs.New(id.Delivery), webhook: w.ID, event: e.ID, eventType: e.Type, body: body,
			})
		}
		moved := false
		err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			var err error
			moved, err = advance(ctx, tx, w, next.Event, wanted, tx.Now)
			return err
		})
		if err != nil || !moved { // another run was faster, or the endpoint was disabled
			return err
		}
		w.after = next.Event
		if len(events) < chunk {
			return nil
		}
	}
}

// Deliveries returns a page of the endpoint's deliveries, newest first; those of one status if it
// is not "". It returns NOT_FOUND if there is no such endpoint.
func (s *Service) Deliveries(
	ctx context.Context, r db.Reader, account, webhook id.ID, of DeliveryStatus, p db.Page,
) ([]Delivery, db.Listed, error) {
	if _, err := s.Get(ctx, r, account, webhook); err != nil {
		return nil, db.Listed{}, err
	}
	list, listed, err := listDeliveries(ctx, r, webhook, of, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	out := make([]Delivery, len(list))
	for i, d := range list {
		out[i] = d.shown()
	}
	return out, listed, addAttempts(ctx, r, out)
}

// Replay sends a delivery again now, with the same ID and body, and retries it for three days; a
// test is tried once. It returns NOT_FOUND, or CONFLICT if the endpoint is not enabled.
func (s *Service) Replay(ctx context.Context, tx *db.Tx, account, webhook, delivery id.ID) (Delivery, error) {
	w, err := s.Get(ctx, tx, account, webhook)
	if err != nil {
		return Delivery{}, err
	}
	d, found, err := findDelivery(ctx, tx, delivery)
	if err != nil {
		return Delivery{}, err
	}
	if !found || d.Webhook != webhook {
		return Delivery{}, missing("delivery")
	}
	if !w.Enabled {
		return Delivery{}, apierr.New(apierr.Conflict,
			"This webhook is %s, so nothing is sent. Enable it first; pending deliveries are sent then.", w.Status)
	}
	if err := cmp.Or(replay(ctx, tx, delivery, tx.Now), endRest(ctx, tx, webhook)); err != nil {
		return Delivery{}, err
	}
	if err := s.cfg.Jobs.Enqueue(ctx, tx, account, KindSend, webhook, tx.Now); err != nil {
		return Delivery{}, err
	}
	return s.delivery(ctx, tx, delivery)
}

// Test sends an event of type webhook.test now, once, also if the endpoint is not enabled. The
// event is not in the account's history. Test returns NOT_FOUND if there is no such endpoint.
func (s *Service) Test(ctx context.Context, tx *db.Tx, account, webhook id.ID) (Delivery, error) {
	w, err := s.Get(ctx, tx, account, webhook)
	if err != nil {
		return Delivery{}, err
	}
	e := event.Event{
		ID: s.cfg.IDs.New(id.Event), Subject: w.ID, Type: TypeTest, Data: map[string]any{"description": w.Description},
		CreatedAt: tx.Now,
	}
	body, err := bodyOf(e)
	if err != nil {
		return Delivery{}, err
	}
	d := outgoing{id: s.cfg.IDs.New(id.Delivery), webhook: w.ID, event: e.ID, eventType: e.Type, body: body}
	if err := addDelivery(ctx, tx, d, tx.Now); err != nil {
		return Delivery{}, err
	}
	if err := s.cfg.Jobs.Enqueue(ctx, tx, account, KindSend, w.ID, tx.Now); err != nil {
		return Delivery{}, err
	}
	return s.delivery(ctx, tx, d.id)
}

func (s *Service) delivery(ctx context.Context, r db.Reader, delivery id.ID) (Delivery, error) {
	d, found, err := findDelivery(ctx, r, delivery)
	if err != nil {
		return Delivery{}, err
	}
	if !found {
		return Delivery{}, missing("delivery")
	}
	out := []Delivery{d.shown()}
	err = addAttempts(ctx, r, out)
	return out[0], err
}

const (
	purgeEvery = time.Hour
	purgeBatch = 500
)

// Purge deletes deliveries that are older than Kept, and repeats every hour. It is the handler of
// KindPurge.
func (s *Service) Purge(ctx context.Context, _ id.ID) (job.Outcome, error) {
	now := s.cfg.Clock.Now()
	for {
		var n int64
		err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			n, err = purge(ctx, tx, now.Add(-Kept), purgeBatch)
			return err
		})
		if err != nil {
			return job.Outcome{}, err
		}
		if n < purgeBatch {
			return job.At(now.Add(purgeEvery)), nil
		}
	}
}
