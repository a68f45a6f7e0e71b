package mcp

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/billetcloud/billet/client"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// maxHours is the longest that a machine is deployed for: a month.
	maxHours = 744
	// tokenLife is how long a confirmToken is good.
	tokenLife = 10 * time.Minute
)

// bounded tells whether the limits bound what a program can spend: an amount for a day or a month does, and so do the price of an hour and
// the number of deployments together. A price alone does not, since there may be any number of machines; nor do GPU types.
func bounded(l *client.SpendingLimits) bool {
	return l != nil && (l.MaxSpendPerDay != nil || l.MaxSpendPerMonth != nil || (l.MaxHourlyPrice != nil && l.MaxDeployments != nil))
}

// refuse says why the key may not spend here; nil where it may.
func refuse(k *client.Key) *refusal {
	if !bounded(k.Spending) {
		return &refusal{
			Code:    "KEY_NOT_LIMITED",
			Message: "This API key has no limit on what it may spend, so this server only reads with it.",
			WhatToDo: "Ask the user for a key with a limit: in the dashboard under Settings → API keys, or by the operator with `billetd key create --account acc_… --name agent --max-spend-per-day 100`. " +
				"Any of these will do: a limit of a day, of a month, or of an hour's price together with a number of deployments.",
		}
	}
	if !slices.Contains(k.Scopes, client.ScopeWriteDeployments) {
		return &refusal{Code: string(client.ErrInsufficientScope), Message: "This API key lacks the scope deployments:write.", WhatToDo: cures[client.ErrInsufficientScope]}
	}
	return nil
}

// spends returns the key, which may spend, or says why it may not. It is asked each time: limits can be taken away.
func (s *session) spends(ctx context.Context) (*client.Key, error) {
	k, err := s.Client.Key.Get(ctx)
	if err != nil {
		return nil, err
	}
	if r := refuse(k); r != nil {
		return nil, r
	}
	return k, nil
}

type quoteWanted struct {
	OfferID         string   `json:"offerId" jsonschema:"off_…, from list_offers"`
	Name            string   `json:"name" jsonschema:"what the machine is to be called, 1 to 64 characters"`
	Hours           float64  `json:"hours" jsonschema:"for how long, up to 744; the machine ends by itself so long after the quote, and extend moves that"`
	SSHKeyIDs       []string `json:"sshKeyIds,omitempty" jsonschema:"saved keys that may log in, from list_ssh_keys; this or sshPublicKey"`
	SSHPublicKey    string   `json:"sshPublicKey,omitempty" jsonschema:"who may log in, as a line of an authorized_keys file"`
	OperatingSystem string   `json:"operatingSystem,omitempty" jsonschema:"one of the offer's; may be left out where it has one only"`
	VolumeIDs       []string `json:"volumeIds,omitempty" jsonschema:"volumes to attach, of the offer's provider and region"`
	Tags            []string `json:"tags,omitempty"`
}

// check returns what is wrong with the inputs that the API would name otherwise.
func (in *quoteWanted) check() []client.FieldError {
	var wrong []client.FieldError
	if !(in.Hours > 0 && in.Hours <= maxHours) {
		wrong = append(wrong, client.FieldError{
			Field: "hours", Message: fmt.Sprintf("must be more than 0 and at most %d.", maxHours),
		})
	}
	switch {
	case len(in.SSHKeyIDs) == 0 && in.SSHPublicKey == "":
		wrong = append(wrong, client.FieldError{
			Field:   "sshKeyIds",
			Message: "is required: ids from list_ssh_keys, or give sshPublicKey instead. Without a key nobody could log in.",
		})
	case len(in.SSHKeyIDs) > 0 && in.SSHPublicKey != "":
		wrong = append(wrong, client.FieldError{Field: "sshPublicKey", Message: "must be left out where sshKeyIds is given."})
	}
	return wrong
}

// left is what the key's limits leave, before the deploy that is quoted. Null is no limit.
type left struct {
	Today       *client.Money `json:"today" jsonschema:"US dollars for hours that begin today (UTC)"`
	ThisMonth   *client.Money `json:"thisMonth"`
	Deployments *int          `json:"deployments"`
}

func leftOf(k *client.Key) left {
	var l left
	if k.Spent == nil || k.Spending == nil {
		return l
	}
	if m := k.Spending.MaxSpendPerDay; m != nil {
		l.Today = new(*m - k.Spent.CommittedToday)
	}
	if m := k.Spending.MaxSpendPerMonth; m != nil {
		l.ThisMonth = new(*m - k.Spent.CommittedThisMonth)
	}
	if n := k.Spending.MaxDeployments; n != nil {
		l.Deployments = new(*n - k.Spent.Deployments)
	}
	return l
}

// quoted is what a quote showed, and what a deploy of it makes.
type quoted struct {
	wanted client.CreateDeployment
	made   string // the deployment, once it is known
}

// terms are what a quote shows.
type terms struct {
	QuoteID               string                   `json:"quoteId" jsonschema:"for deploy; good for one machine"`
	ExpiresAt             time.Time                `json:"expiresAt"`
	Offer                 offer                    `json:"offer"`
	Name                  string                   `json:"name"`
	OperatingSystem       string                   `json:"operatingSystem"`
	SSHKeys               []client.SSHKeyReference `json:"sshKeys" jsonschema:"who may log in"`
	VolumeIDs             []string                 `json:"volumeIds" jsonschema:"what is attached"`
	HourlyPrice           client.Money             `json:"hourlyPrice" jsonschema:"US dollars, fixed for this quote"`
	MostItCosts           client.Money             `json:"mostItCosts" jsonschema:"US dollars if it runs until endsAt"`
	EndsAt                time.Time                `json:"endsAt"`
	MinimumRuntimeMinutes int                      `json:"minimumRuntimeMinutes" jsonschema:"before that it cannot be terminated"`
	Hold                  client.Money             `json:"hold" jsonschema:"what a deploy sets aside until the machine runs"`
	Required              client.Money             `json:"required" jsonschema:"what must be available in the wallet"`
	Available             client.Money             `json:"available"`
	Left                  left                     `json:"left" jsonschema:"what the key's limits leave before this deploy; null is no limit"`
	Billing               string                   `json:"billing"`
	NextStep              string                   `json:"nextStep"`
}

const billing = "Paid by the hour, in advance, from when SSH first answers. A machine that never comes costs nothing. Terminated within its first hour, the unused part of that hour comes back, to the second; later hours are paid in full as they begin."

// quote fixes a price, and has the API check everything that a deploy of it would.
func (s *session) quote(ctx context.Context, in quoteWanted) (*terms, error) {
	k, err := s.spends(ctx)
	if err != nil {
		return nil, err
	}
	if wrong := in.check(); len(wrong) > 0 {
		return nil, invalid(wrong)
	}
	o, err := s.Client.Offers.Get(ctx, in.OfferID)
	if err != nil {
		return nil, err
	}
	q, err := s.Client.Quotes.Create(ctx, in.OfferID)
	if err != nil {
		return nil, err
	}
	wanted := client.CreateDeployment{
		Name: in.Name, QuoteID: q.QuoteID, OperatingSystem: in.OperatingSystem, SSHKeyIDs: in.SSHKeyIDs, SSHPublicKey: in.SSHPublicKey, VolumeIDs: in.VolumeIDs, Tags: in.Tags,
		// By the server's clock, which the quote tells: this machine's may be wrong.
		AutoTerminateAt: q.CreatedAt.Add(time.Duration(in.Hours * float64(time.Hour))).UTC().Truncate(time.Second),
	}
	dry := wanted
	dry.DryRun = true
	d, err := s.Client.Deployments.Create(ctx, dry)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.quotes[q.QuoteID] = &quoted{wanted: wanted}
	s.mu.Unlock()
	return &terms{
		QuoteID: q.QuoteID, ExpiresAt: q.ExpiresAt, Offer: offerShown(*o), Name: d.Name, OperatingSystem: d.OperatingSystem, SSHKeys: d.SSHKeys, VolumeIDs: append([]string{}, in.VolumeIDs...), HourlyPrice: q.HourlyPrice,
		MostItCosts: q.HourlyPrice * client.Money(math.Ceil(in.Hours)), EndsAt: wanted.AutoTerminateAt, MinimumRuntimeMinutes: o.MinimumRuntimeMinutes,
		Hold: q.Hold, Required: q.Required, Available: q.Available, Left: leftOf(k), Billing: billing,
		NextStep: "Nothing is deployed or paid yet. Show the user hourlyPrice, mostItCosts, endsAt and sshKeys; then call deploy with the quoteId before expiresAt.",
	}, nil
}

type quoteTaken struct {
	QuoteID string `json:"quoteId" jsonschema:"quo_…, from quote in this session"`
}

// deployed is what came of a deploy.
type deployed struct {
	Deployment machine `json:"deployment"`
	Repeated   bool    `json:"repeated" jsonschema:"this quote was deployed before: it is the same machine, as it is now"`
	NextStep   string  `json:"nextStep"`
}

// deploy makes the machine of a quote. The key of the call is the quote's, so that a call whose answer was lost makes no second one.
func (s *session) deploy(ctx context.Context, in quoteTaken) (*deployed, error) {
	if _, err := s.spends(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	q, shown := s.quotes[in.QuoteID]
	var made string
	if shown {
		made = q.made
	}
	s.mu.Unlock()
	if !shown {
		return nil, &refusal{Code: "UNKNOWN_QUOTE", Message: "This session has made no such quote.", WhatToDo: "Call quote, show the user what it says, and deploy with the quoteId that it returns."}
	}
	out := &deployed{NextStep: "Call get_deployment with waitSeconds until it is running; it usually takes some minutes. Terminate it when the work is done: can_terminate, then terminate."}
	if made != "" {
		d, err := s.Client.Deployments.Get(ctx, made)
		if err != nil {
			return nil, err
		}
		out.Deployment, out.Repeated = machineShown(*d), true
		return out, nil
	}
	var r client.Response
	d, err := s.Client.Deployments.Create(ctx, q.wanted, client.WithIdempotencyKey("billet-mcp-"+in.QuoteID), client.WithResponse(&r))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	q.made = d.ID
	s.mu.Unlock()
	out.Deployment, out.Repeated = machineShown(*d), r.Replayed
	return out, nil
}

// token is leave to terminate one deployment.
type token struct {
	deployment string
	until      time.Time
}

// ending is what a terminate would bring.
type ending struct {
	Name             string       `json:"name"`
	CanTerminate     bool         `json:"canTerminate"`
	Reason           *string      `json:"reason" jsonschema:"what is in the way; null where nothing is"`
	TerminableAt     time.Time    `json:"terminableAt" jsonschema:"from when on the minimum runtime is met"`
	RemainingSeconds int          `json:"remainingSeconds"`
	Refund           client.Money `json:"refund" jsonschema:"US dollars that would come back of the hour that is paid"`
	Release          client.Money `json:"release" jsonschema:"US dollars that were set aside and would be given back"`
	ConfirmToken     string       `json:"confirmToken" jsonschema:"for terminate of this machine, within ten minutes"`
}

func (s *session) canTerminate(ctx context.Context, in ofDeployment) (*ending, error) {
	d, err := s.Client.Deployments.Get(ctx, in.DeploymentID)
	if err != nil {
		return nil, err
	}
	can, err := s.Client.Deployments.CanTerminate(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	now, confirm := s.Now(), rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, t := range s.tokens {
		if now.After(t.until) {
			delete(s.tokens, old)
		}
	}
	s.tokens[confirm] = token{d.ID, now.Add(tokenLife)}
	return &ending{d.Name, can.CanTerminate, can.Reason, can.TerminableAt, can.RemainingSeconds, can.Refund, can.Release, confirm}, nil
}

type endWanted struct {
	ofDeployment
	ConfirmToken string `json:"confirmToken" jsonschema:"from can_terminate for this machine"`
	Earliest     bool   `json:"earliest,omitempty" jsonschema:"where it is too early: plan the end for as soon as it is possible"`
}

// ended is what came of a terminate.
type ended struct {
	Deployment  machine    `json:"deployment"`
	BilledUntil *time.Time `json:"billedUntil" jsonschema:"to when it is paid for; null where it has not ended yet"`
	Result      string     `json:"result"`
}

func (s *session) terminate(ctx context.Context, in endWanted) (*ended, error) {
	if _, err := s.spends(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	t := s.tokens[in.ConfirmToken]
	s.mu.Unlock()
	if t.deployment != in.DeploymentID || s.Now().After(t.until) {
		return nil, &refusal{Code: "CONFIRMATION_REQUIRED", Message: "The confirmToken is not of this machine and session, or is older than ten minutes.", WhatToDo: "Call can_terminate for this machine, look at what is lost and what comes back, and terminate with the confirmToken that it returns."}
	}
	end := s.Client.Deployments.Terminate
	if in.Earliest {
		end = s.Client.Deployments.TerminateEarliest
	}
	d, err := end(ctx, in.DeploymentID)
	if err != nil {
		return nil, err
	}
	out := &ended{Deployment: machineShown(*d), BilledUntil: d.BilledUntil, Result: "It is ended, and costs nothing more. list_transactions with its deploymentId shows what came back."}
	if d.BilledUntil == nil {
		out.Result = "Its end is planned for autoTerminateAt; it costs money until then."
	}
	return out, nil
}

type longer struct {
	ofDeployment
	EndsAt time.Time `json:"endsAt" jsonschema:"the new end, RFC 3339, later than the planned one"`
}

// extend moves a planned end to later only: an earlier one would be a terminate without a confirmToken.
func (s *session) extend(ctx context.Context, in longer) (*machine, error) {
	if _, err := s.spends(ctx); err != nil {
		return nil, err
	}
	d, err := s.Client.Deployments.Get(ctx, in.DeploymentID)
	if err != nil {
		return nil, err
	}
	if d.AutoTerminateAt == nil || !in.EndsAt.After(*d.AutoTerminateAt) {
		planned := "has no planned end"
		if d.AutoTerminateAt != nil {
			planned = "ends at " + d.AutoTerminateAt.UTC().Format(time.RFC3339)
		}
		return nil, &refusal{Code: string(client.ErrInvalidRequest), Message: "The machine " + planned + ", and extend only makes that later.", WhatToDo: "Give a later endsAt. To end it earlier, use can_terminate and terminate."}
	}
	d, err = s.Client.Deployments.Update(ctx, in.DeploymentID, client.UpdateDeployment{AutoTerminateAt: client.SetTo(in.EndsAt)})
	if err != nil {
		return nil, err
	}
	return new(machineShown(*d)), nil
}

type powerWanted struct {
	ofDeployment
	Action string `json:"action"`
}

func (s *session) power(ctx context.Context, in powerWanted) (*machine, error) {
	if _, err := s.spends(ctx); err != nil {
		return nil, err
	}
	act := map[string]func(context.Context, string, ...client.CallOption) (*client.Deployment, error){
		"reboot": s.Client.Deployments.Reboot, "power-on": s.Client.Deployments.PowerOn, "power-off": s.Client.Deployments.PowerOff,
	}[in.Action] // the schema lets nothing else in
	d, err := act(ctx, in.DeploymentID)
	if err != nil {
		return nil, err
	}
	return new(machineShown(*d)), nil
}

func (s *session) addSpending(server *sdk.Server) {
	add(server, about{name: "quote", title: "Quote a machine", kind: makes, text: "First step of renting: fixes the price of an offer for ten minutes, checks the request, the money and the key's limits, and shows what a deploy would cost. Spends nothing. Needs a key with a spending limit.", fields: map[string]string{
		"ssh_public_key": "sshPublicKey", "sshKeyId": "sshKeyIds", "quoteId": "offerId", "autoTerminateAt": "hours", "dryRun": "offerId",
	}}, s.quote)
	add(server, about{name: "deploy", title: "Deploy a quoted machine", kind: once, text: "Second step of renting: deploys exactly what a quote of this session showed, and sets its first hour aside. SPENDS MONEY. Calling it again with the same quoteId makes no second machine."}, s.deploy)
	add(server, about{name: "extend", title: "Extend a machine", kind: once, text: "Moves the planned end of a machine to later. SPENDS MONEY: it is paid for until then, within the key's limits.", fields: map[string]string{"autoTerminateAt": "endsAt"}}, s.extend)
	add(server, about{name: "power", title: "Power of a machine", kind: disturbs, text: "Reboots a machine, or switches it off or on. What runs in it is interrupted. A machine that is off is kept, and still paid for.", words: map[string][]string{"action": {"reboot", "power-off", "power-on"}}}, s.power)
	add(server, about{name: "terminate", title: "Terminate a machine", kind: destroys, text: "Ends a machine and its bill. DESTROYS what is on its own disks; volumes stay. Needs the confirmToken of can_terminate."}, s.terminate)
}
