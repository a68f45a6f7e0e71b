package mcp

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/billetcloud/billet/client"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// maxHours is the maximum runtime of a machine: a month.
	maxHours = 744
	// tokenLifetime is how long a confirmToken is valid.
	tokenLifetime = 10 * time.Minute
)

// boundsSpending reports whether the limits bound what a program can spend. A daily or monthly
// amount does, and so do the hourly price and the number of deployments together. A price alone
// does not, since it allows any number of machines; nor do GPU types.
func boundsSpending(l *client.SpendingLimits) bool {
	return l != nil && (l.MaxSpendPerDay != nil || l.MaxSpendPerMonth != nil ||
		l.MaxHourlyPrice != nil && l.MaxDeployments != nil)
}

// checkLimits returns an error if the tools that spend do not work with the key.
func checkLimits(k *client.Key) *toolError {
	if !boundsSpending(k.Spending) {
		return &toolError{
			Code:    "KEY_NOT_LIMITED",
			Message: "This API key has no spending limit, so it can only be used to read.",
			Hint: "Ask the user for a key with a spending limit, created in the dashboard under Settings → API " +
				"keys, or by the operator with `billetd key create --account acc_… --name agent " +
				"--max-spend-per-day 100`. The key needs a daily limit, a monthly limit, or a maximum hourly price " +
				"together with a maximum number of deployments.",
		}
	}
	if !slices.Contains(k.Scopes, client.ScopeWriteDeployments) {
		return &toolError{
			Code:    string(client.ErrInsufficientScope),
			Message: "This API key lacks the scope " + string(client.ScopeWriteDeployments) + ".",
			Hint:    hints[client.ErrInsufficientScope],
		}
	}
	return nil
}

// spendingKey returns the key if it may spend. It checks at each call, because limits can be
// removed.
func (s *session) spendingKey(ctx context.Context) (*client.Key, error) {
	k, err := s.Client.Key.Get(ctx)
	if err != nil {
		return nil, err
	}
	if r := checkLimits(k); r != nil {
		return nil, r
	}
	return k, nil
}

type quoteInput struct {
	OfferID         string   `json:"offerId" jsonschema:"off_…, from list_offers"`
	Name            string   `json:"name" jsonschema:"name of the machine, 1 to 64 characters"`
	Hours           float64  `json:"hours" jsonschema:"hours until the machine auto-terminates, counted from the quote, up to 744; see extend"`
	SSHKeyIDs       []string `json:"sshKeyIds,omitempty" jsonschema:"IDs of saved keys to authorize, from list_ssh_keys; this or sshPublicKey"`
	SSHPublicKey    string   `json:"sshPublicKey,omitempty" jsonschema:"key to authorize, as a line of an authorized_keys file"`
	OperatingSystem string   `json:"operatingSystem,omitempty" jsonschema:"an operating system of the offer; optional if it has only one"`
	ImageID         string   `json:"imageId,omitempty" jsonschema:"an image of the account, from list_images, to install instead of an operating system; for offers that support it (customImages)"`
	VolumeIDs       []string `json:"volumeIds,omitempty" jsonschema:"IDs of volumes to attach, in the offer's provider and region"`
	Tags            []string `json:"tags,omitempty"`
}

// check returns the invalid inputs that the API would report under other names.
func (in *quoteInput) check() []client.FieldError {
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
			Message: "is required: IDs from list_ssh_keys, or set sshPublicKey instead.",
		})
	case len(in.SSHKeyIDs) > 0 && in.SSHPublicKey != "":
		wrong = append(wrong, client.FieldError{Field: "sshPublicKey", Message: "cannot be combined with sshKeyIds."})
	}
	return wrong
}

// remaining is what the key's limits leave before the quoted deploy. Null means no limit.
type remaining struct {
	Today       *client.Money `json:"today" jsonschema:"US dollars for hours that start today (UTC)"`
	ThisMonth   *client.Money `json:"thisMonth"`
	Deployments *int          `json:"deployments"`
}

func remainingOf(k *client.Key) remaining {
	var l remaining
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

// quoted is the request that a quote showed, and the deployment created from it.
type quoted struct {
	request      client.CreateDeployment
	deploymentID string // set once it is created
}

// terms are the content of a quote.
type terms struct {
	QuoteID               string                   `json:"quoteId" jsonschema:"for deploy; valid for one machine"`
	ExpiresAt             time.Time                `json:"expiresAt"`
	Offer                 offer                    `json:"offer"`
	Name                  string                   `json:"name"`
	OperatingSystem       string                   `json:"operatingSystem" jsonschema:"or the name of the image"`
	ImageID               *string                  `json:"imageId" jsonschema:"the account's own image that is installed; null for an operating system of the offer"`
	SSHKeys               []client.SSHKeyReference `json:"sshKeys" jsonschema:"authorized SSH keys"`
	VolumeIDs             []string                 `json:"volumeIds" jsonschema:"volumes to attach"`
	HourlyPrice           client.Money             `json:"hourlyPrice" jsonschema:"US dollars, locked by this quote"`
	MaxCost               client.Money             `json:"maxCost" jsonschema:"US dollars if it runs until autoTerminateAt"`
	AutoTerminateAt       time.Time                `json:"autoTerminateAt"`
	MinimumRuntimeMinutes int                      `json:"minimumRuntimeMinutes" jsonschema:"it cannot be terminated earlier"`
	Hold                  client.Money             `json:"hold" jsonschema:"hold for the first hour, until the machine runs"`
	Required              client.Money             `json:"required" jsonschema:"required available balance"`
	Available             *client.Money            `json:"available" jsonschema:"null for a key that is bound to a project"`
	Remaining             remaining                `json:"remaining" jsonschema:"what the key's limits leave before this deploy; null means no limit"`
	Billing               string                   `json:"billing"`
	NextStep              string                   `json:"nextStep"`
}

const billing = "Billed hourly in advance, starting when SSH is ready. A deployment that fails costs nothing. If " +
	"you terminate within the first hour, unused time is refunded to the second; later hours are not refunded."

// quote locks a price and has the API validate the deploy with a dry run.
func (s *session) quote(ctx context.Context, in quoteInput) (*terms, error) {
	k, err := s.spendingKey(ctx)
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
	request := client.CreateDeployment{
		Name: in.Name, QuoteID: q.QuoteID, OperatingSystem: in.OperatingSystem, ImageID: in.ImageID,
		SSHKeyIDs: in.SSHKeyIDs, SSHPublicKey: in.SSHPublicKey, VolumeIDs: in.VolumeIDs, Tags: in.Tags,
		// The quote has the server's time. This machine's clock can be wrong.
		AutoTerminateAt: q.CreatedAt.Add(time.Duration(in.Hours * float64(time.Hour))).UTC().Truncate(time.Second),
	}
	dry := request
	dry.DryRun = true
	d, err := s.Client.Deployments.Create(ctx, dry)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.quotes[q.QuoteID] = &quoted{request: request}
	s.mu.Unlock()
	return &terms{
		QuoteID: q.QuoteID, ExpiresAt: q.ExpiresAt, Offer: offerSummary(*o), Name: d.Name,
		OperatingSystem: d.OperatingSystem, ImageID: d.ImageID, SSHKeys: d.SSHKeys,
		VolumeIDs:   append([]string{}, in.VolumeIDs...),
		HourlyPrice: q.HourlyPrice, MaxCost: q.HourlyPrice * client.Money(math.Ceil(in.Hours)),
		AutoTerminateAt: request.AutoTerminateAt, MinimumRuntimeMinutes: o.MinimumRuntimeMinutes,
		Hold: q.Hold, Required: q.Required, Available: q.Available, Remaining: remainingOf(k), Billing: billing,
		NextStep: "Nothing is deployed or billed yet. Show the user hourlyPrice, maxCost, autoTerminateAt and " +
			"sshKeys, then call deploy with the quoteId before expiresAt.",
	}, nil
}

type deployInput struct {
	QuoteID string `json:"quoteId" jsonschema:"quo_…, from a quote in this session"`
}

// deployed is the result of a deploy.
type deployed struct {
	Deployment machine `json:"deployment"`
	Repeated   bool    `json:"repeated" jsonschema:"true if this quote was deployed before: this is the same machine, as it is now"`
	NextStep   string  `json:"nextStep"`
}

// deploy creates the machine of a quote. The idempotency key is derived from the quote, so
// repeating a call creates no second machine.
func (s *session) deploy(ctx context.Context, in deployInput) (*deployed, error) {
	if _, err := s.spendingKey(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	q, known := s.quotes[in.QuoteID]
	var deploymentID string
	if known {
		deploymentID = q.deploymentID
	}
	s.mu.Unlock()
	if !known {
		return nil, &toolError{
			Code: "UNKNOWN_QUOTE", Message: "This session has no such quote.",
			Hint: "Call quote, show the user its result, and call deploy with its quoteId.",
		}
	}
	out := &deployed{
		NextStep: "Call get_deployment with waitSeconds until it is running, which usually takes some minutes. " +
			"When the work is done, terminate it with can_terminate and terminate.",
	}
	if deploymentID != "" {
		d, err := s.Client.Deployments.Get(ctx, deploymentID)
		if err != nil {
			return nil, err
		}
		out.Deployment, out.Repeated = machineSummary(*d), true
		return out, nil
	}
	var r client.Response
	d, err := s.Client.Deployments.Create(ctx, q.request,
		client.WithIdempotencyKey("billet-mcp-"+in.QuoteID), client.WithResponse(&r))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	q.deploymentID = d.ID
	s.mu.Unlock()
	out.Deployment, out.Repeated = machineSummary(*d), r.Replayed
	return out, nil
}

// token permits the termination of one deployment.
type token struct {
	deployment string
	until      time.Time
}

// preview is the result of can_terminate.
type preview struct {
	Name             string       `json:"name"`
	CanTerminate     bool         `json:"canTerminate"`
	Reason           *string      `json:"reason" jsonschema:"why it cannot be terminated; null if it can"`
	TerminableAt     time.Time    `json:"terminableAt" jsonschema:"when the minimum runtime is met"`
	RemainingSeconds int          `json:"remainingSeconds"`
	Refund           client.Money `json:"refund" jsonschema:"refund in US dollars"`
	Release          client.Money `json:"release" jsonschema:"hold that would be released, in US dollars"`
	RefundNextMinute client.Money `json:"refundNextMinute" jsonschema:"refund of a termination in one minute, in US dollars"`
	FinalBill        client.Money `json:"finalBill" jsonschema:"total cost if it were terminated now, in US dollars"`
	ConfirmToken     string       `json:"confirmToken" jsonschema:"for terminate of this machine, valid for ten minutes"`
}

func (s *session) canTerminate(ctx context.Context, in deploymentInput) (*preview, error) {
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
	s.tokens[confirm] = token{d.ID, now.Add(tokenLifetime)}
	return &preview{
		d.Name, can.CanTerminate, can.Reason, can.TerminableAt, can.RemainingSeconds, can.Refund, can.Release,
		can.RefundNextMinute, can.FinalBill, confirm,
	}, nil
}

type terminateInput struct {
	deploymentInput
	ConfirmToken string `json:"confirmToken" jsonschema:"from can_terminate for this machine"`
	Earliest     bool   `json:"earliest,omitempty" jsonschema:"if it is too early: terminate as soon as the minimum runtime is met"`
}

// terminated is the result of a terminate.
type terminated struct {
	Deployment  machine    `json:"deployment"`
	BilledUntil *time.Time `json:"billedUntil" jsonschema:"end of billing; null if it has not ended yet"`
	Result      string     `json:"result"`
}

func (s *session) terminate(ctx context.Context, in terminateInput) (*terminated, error) {
	if _, err := s.spendingKey(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	t := s.tokens[in.ConfirmToken]
	s.mu.Unlock()
	if t.deployment != in.DeploymentID || s.Now().After(t.until) {
		return nil, &toolError{
			Code: "CONFIRMATION_REQUIRED", Message: "The confirmToken is for another machine or session, or has " +
				"expired.",
			Hint: "Call can_terminate for this machine, check the refund, and call terminate with its confirmToken.",
		}
	}
	terminate := s.Client.Deployments.Terminate
	if in.Earliest {
		terminate = s.Client.Deployments.TerminateEarliest
	}
	d, err := terminate(ctx, in.DeploymentID)
	if err != nil {
		return nil, err
	}
	out := &terminated{
		Deployment: machineSummary(*d), BilledUntil: d.BilledUntil,
		Result: "Terminated; billing has stopped. Call list_transactions with its deploymentId to see the refund.",
	}
	if d.BilledUntil == nil {
		out.Result = "Termination is scheduled for autoTerminateAt. Billing continues until then."
	}
	return out, nil
}

type extendInput struct {
	deploymentInput
	AutoTerminateAt time.Time `json:"autoTerminateAt" jsonschema:"new auto-terminate time, RFC 3339, later than the current one"`
}

// extend only moves the auto-terminate time to later: an earlier one would be a terminate without a
// confirmToken.
func (s *session) extend(ctx context.Context, in extendInput) (*machine, error) {
	if _, err := s.spendingKey(ctx); err != nil {
		return nil, err
	}
	d, err := s.Client.Deployments.Get(ctx, in.DeploymentID)
	if err != nil {
		return nil, err
	}
	if d.AutoTerminateAt == nil || !in.AutoTerminateAt.After(*d.AutoTerminateAt) {
		current := "does not auto-terminate"
		if d.AutoTerminateAt != nil {
			current = "auto-terminates at " + d.AutoTerminateAt.UTC().Format(time.RFC3339)
		}
		return nil, &toolError{
			Code:    string(client.ErrInvalidRequest),
			Message: "The machine " + current + ". extend can only move that to later.",
			Hint:    "Use a later autoTerminateAt. To terminate earlier, use can_terminate and terminate.",
		}
	}
	d, err = s.Client.Deployments.Update(ctx, in.DeploymentID, client.UpdateDeployment{
		AutoTerminateAt: client.SetTo(in.AutoTerminateAt),
	})
	if err != nil {
		return nil, err
	}
	return new(machineSummary(*d)), nil
}

type powerInput struct {
	deploymentInput
	Action client.PendingAction `json:"action"`
}

type powerAction = func(context.Context, string, ...client.CallOption) (*client.Deployment, error)

// powerActions returns the calls of the tool power.
func (s *session) powerActions() map[client.PendingAction]powerAction {
	return map[client.PendingAction]powerAction{
		client.ActionReboot:   s.Client.Deployments.Reboot,
		client.ActionPowerOn:  s.Client.Deployments.PowerOn,
		client.ActionPowerOff: s.Client.Deployments.PowerOff,
	}
}

func (s *session) power(ctx context.Context, in powerInput) (*machine, error) {
	if _, err := s.spendingKey(ctx); err != nil {
		return nil, err
	}
	d, err := s.powerActions()[in.Action](ctx, in.DeploymentID) // the schema allows no other action
	if err != nil {
		return nil, err
	}
	return new(machineSummary(*d)), nil
}

// addSpending adds the tools that spend money or change a machine.
func (s *session) addSpending(server *sdk.Server) {
	addTool(server, toolSpec{
		name: "quote", title: "Quote a machine", kind: creates,
		text: "Quote a machine, the first step of a deploy: lock the price of an offer for ten minutes, check the " +
			"request, the balance and the key's limits, and show the cost. Spends nothing. Needs a key with a " +
			"spending limit.",
		apiFields: map[string]string{
			"ssh_public_key": "sshPublicKey", "sshKeyId": "sshKeyIds", "quoteId": "offerId",
			"autoTerminateAt": "hours", "dryRun": "offerId",
		},
	}, s.quote)
	addTool(server, toolSpec{
		name: "deploy", title: "Deploy a quoted machine", kind: idempotent,
		text: "Deploy a quoted machine, the second step: exactly what a quote of this session showed. Places a " +
			"hold for the first hour. SPENDS MONEY. Repeating the call with the same quoteId creates no second " +
			"machine.",
	}, s.deploy)
	addTool(server, toolSpec{
		name: "extend", title: "Extend a machine", kind: idempotent,
		text: "Extend a machine: move its auto-terminate time to later. SPENDS MONEY: the machine is billed until " +
			"then, within the key's limits.",
	}, s.extend)
	addTool(server, toolSpec{
		name: "power", title: "Reboot or power a machine on or off", kind: interrupting,
		text: "Reboot a machine, or power it on or off. Running processes are interrupted. Billing continues while " +
			"a machine is powered off.",
		enums: map[string][]string{"action": texts(slices.Sorted(maps.Keys(s.powerActions())))},
	}, s.power)
	addTool(server, toolSpec{
		name: "terminate", title: "Terminate a machine", kind: destructive,
		text: "Terminate a machine and stop its billing. DELETES its local disks; volumes are kept. Needs the " +
			"confirmToken of can_terminate.",
	}, s.terminate)
}
