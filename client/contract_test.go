package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// exceptions are operations for API keys that have no method, with the reason.
var exceptions = map[string]string{
	"openTerminal": "a WebSocket, which the standard library does not speak; who has a program has SSH, to the " +
		"address that the deployment names",
	"openConsole": "a WebSocket, too; `billet console` opens it",
	"getMetrics":  "Prometheus scrapes it; programs have Wallet.Get and Deployments.List",
}

// withoutKey are operations that need no key and have a method.
var withoutKey = []string{
	"getIndex", "createDeviceAuthorization", "createDeviceToken", "getSite", "getPublicPrices", "getPublicStatus",
	"getPublicLedger",
}

// narrower are types of which a field can allow a subset of the values.
var narrower = map[reflect.Type]bool{
	reflect.TypeFor[Scope](): true, // requests take a tenant's scopes, a key may have an operator's, too
}

// operators are operations for operators: no tenant's key has their scopes.
func operators(o operation) bool { return strings.HasPrefix(o.path, "/api/v1/operator/") }

// spellings are aliases of other parameters and fields.
var spellings = map[string]string{
	"per_page": "limit", "sortBy": "sort", "sortOrder": "sort", "lastEventId": "the header Last-Event-ID",
}

// methods call each operation with all of its parameters and return the decoded response.
var methods = map[string][]func(context.Context, *Client) (any, error){
	"getIndex": {func(ctx context.Context, c *Client) (any, error) { return c.Index(ctx) }},

	"createDeviceAuthorization": {func(ctx context.Context, c *Client) (any, error) {
		return c.authorizeDevice(ctx, filled[DeviceAuthorizationRequest](), nil)
	}},
	"createDeviceToken": {
		func(ctx context.Context, c *Client) (any, error) { return c.deviceToken(ctx, "x", "x", nil) },
	},

	"listOffers": {
		func(ctx context.Context, c *Client) (any, error) { return c.Offers.List(ctx, filled[OfferQuery]()) },
	},
	"getOffer": {func(ctx context.Context, c *Client) (any, error) { return c.Offers.Get(ctx, "off_1") }},
	"checkOffers": {
		func(ctx context.Context, c *Client) (any, error) { return c.Offers.Check(ctx, filled[CheckOffers]()) },
	},
	"getPriceHistory": {func(ctx context.Context, c *Client) (any, error) {
		return c.Offers.PriceHistory(ctx, "off_1", filled[PriceHistoryQuery]())
	}},
	"listProviders": {
		func(ctx context.Context, c *Client) (any, error) { return c.Providers.List(ctx, filled[Paging]()) },
	},
	"listRegions": {
		func(ctx context.Context, c *Client) (any, error) { return c.Regions.List(ctx, filled[Paging]()) },
	},
	"listGpuTypes": {
		func(ctx context.Context, c *Client) (any, error) { return c.GPUTypes.List(ctx, filled[Paging]()) },
	},
	"createQuote": {func(ctx context.Context, c *Client) (any, error) { return c.Quotes.Create(ctx, "off_1") }},
	"getQuote":    {func(ctx context.Context, c *Client) (any, error) { return c.Quotes.Get(ctx, "quo_1") }},

	"listSshKeys": {
		func(ctx context.Context, c *Client) (any, error) { return c.SSHKeys.List(ctx, filled[SSHKeyQuery]()) },
	},
	"getSshKey": {func(ctx context.Context, c *Client) (any, error) { return c.SSHKeys.Get(ctx, "ssh_1") }},
	"createSshKey": {func(ctx context.Context, c *Client) (any, error) {
		return c.SSHKeys.Create(ctx, filled[CreateSSHKey]())
	}},
	"renameSshKey": {func(ctx context.Context, c *Client) (any, error) { return c.SSHKeys.Rename(ctx, "ssh_1", "x") }},
	"deleteSshKey": {func(ctx context.Context, c *Client) (any, error) { return nil, c.SSHKeys.Delete(ctx, "ssh_1") }},

	"listImages": {
		func(ctx context.Context, c *Client) (any, error) { return c.Images.List(ctx, filled[ImageQuery]()) },
	},
	"getImage": {func(ctx context.Context, c *Client) (any, error) { return c.Images.Get(ctx, "img_1") }},
	"createImage": {func(ctx context.Context, c *Client) (any, error) {
		return c.Images.Create(ctx, filled[CreateImage]())
	}},
	"deleteImage": {func(ctx context.Context, c *Client) (any, error) { return nil, c.Images.Delete(ctx, "img_1") }},

	"listDeployments": {func(ctx context.Context, c *Client) (any, error) {
		return c.Deployments.List(ctx, filled[DeploymentQuery]())
	}},
	"bulkUpdateDeployments": {func(ctx context.Context, c *Client) (any, error) {
		in := filled[BulkDeployments]()
		in.AutoTerminateAt = Clear[time.Time]()
		return c.Deployments.Bulk(ctx, in)
	}},
	"createDeployment": {func(ctx context.Context, c *Client) (any, error) {
		return c.Deployments.Create(ctx, filled[CreateDeployment]())
	}},
	"getDeployment": {
		func(ctx context.Context, c *Client) (any, error) { return c.Deployments.Get(ctx, "dep_1") },
		func(ctx context.Context, c *Client) (any, error) {
			return c.Deployments.Wait(ctx, "dep_1", DeploymentPending, nil) // what the made up answer says
		},
	},
	"updateDeployment": {func(ctx context.Context, c *Client) (any, error) {
		u := filled[UpdateDeployment]()
		u.AutoTerminateAt, u.Project = Clear[time.Time](), SetTo("x")
		u.MaxSpend, u.MaxRuntimeMinutes = Clear[Money](), SetTo(60)
		return c.Deployments.Update(ctx, "dep_1", u)
	}},
	"terminateDeployment": {
		func(ctx context.Context, c *Client) (any, error) { return c.Deployments.Terminate(ctx, "dep_1") },
		func(ctx context.Context, c *Client) (any, error) {
			return c.Deployments.TerminateEarliest(ctx, "dep_1")
		},
	},
	"getDeploymentErasure": {
		func(ctx context.Context, c *Client) (any, error) { return c.Deployments.Erasure(ctx, "dep_1") },
	},
	"canTerminateDeployment": {
		func(ctx context.Context, c *Client) (any, error) { return c.Deployments.CanTerminate(ctx, "dep_1") },
	},
	"getDeploymentHealth": {
		func(ctx context.Context, c *Client) (any, error) { return c.Deployments.Health(ctx, "dep_1") },
	},
	"checkDeploymentHealth": {func(ctx context.Context, c *Client) (any, error) {
		return c.Deployments.CheckHealth(ctx, "dep_1", filled[CheckDeploymentHealth]())
	}},
	"listDeploymentEvents": {func(ctx context.Context, c *Client) (any, error) {
		return c.Deployments.Events(ctx, "dep_1", filled[Paging]())
	}},
	"powerOffDeployment": {
		func(ctx context.Context, c *Client) (any, error) { return c.Deployments.PowerOff(ctx, "dep_1") },
	},
	"powerOnDeployment": {
		func(ctx context.Context, c *Client) (any, error) { return c.Deployments.PowerOn(ctx, "dep_1") },
	},
	"rebootDeployment": {
		func(ctx context.Context, c *Client) (any, error) { return c.Deployments.Reboot(ctx, "dep_1") },
	},
	"rescueDeployment": {
		func(ctx context.Context, c *Client) (any, error) { return c.Deployments.Rescue(ctx, "dep_1") },
	},
	"endDeploymentRescue": {
		func(ctx context.Context, c *Client) (any, error) { return c.Deployments.EndRescue(ctx, "dep_1") },
	},
	"reinstallDeployment": {func(ctx context.Context, c *Client) (any, error) {
		return c.Deployments.Reinstall(ctx, "dep_1", filled[ReinstallDeployment]())
	}},

	"listVolumes": {
		func(ctx context.Context, c *Client) (any, error) { return c.Volumes.List(ctx, filled[VolumeQuery]()) },
	},
	"getVolume": {
		func(ctx context.Context, c *Client) (any, error) { return c.Volumes.Get(ctx, "vol_1") },
		func(ctx context.Context, c *Client) (any, error) {
			return c.Volumes.Wait(ctx, "vol_1", VolumeCreating, nil) // the status of the mock response
		},
	},
	"createVolume": {func(ctx context.Context, c *Client) (any, error) {
		return c.Volumes.Create(ctx, filled[CreateVolume]())
	}},
	"updateVolume": {func(ctx context.Context, c *Client) (any, error) {
		u := filled[UpdateVolume]()
		u.Project = SetTo("x")
		return c.Volumes.Update(ctx, "vol_1", u)
	}},
	"deleteVolume": {func(ctx context.Context, c *Client) (any, error) { return c.Volumes.Delete(ctx, "vol_1") }},
	"attachVolume": {
		func(ctx context.Context, c *Client) (any, error) { return c.Volumes.Attach(ctx, "vol_1", "dep_1") },
	},
	"detachVolume": {
		func(ctx context.Context, c *Client) (any, error) { return c.Volumes.Detach(ctx, "vol_1", "dep_1") },
	},
	"listVolumePricing": {
		func(ctx context.Context, c *Client) (any, error) { return c.Volumes.Pricing(ctx, filled[Paging]()) },
	},

	"createTopUp": {func(ctx context.Context, c *Client) (any, error) {
		return c.TopUps.Create(ctx, filled[CreateTopUp]())
	}},
	"redeemPromoCode": {func(ctx context.Context, c *Client) (any, error) {
		return c.Wallet.Redeem(ctx, filled[RedeemPromoCode]().Code)
	}},
	"listCredits": {
		func(ctx context.Context, c *Client) (any, error) { return c.Wallet.Credits(ctx, filled[CreditQuery]()) },
	},
	"listTopUps": {
		func(ctx context.Context, c *Client) (any, error) { return c.TopUps.List(ctx, filled[TopUpQuery]()) },
	},
	"getTopUp": {func(ctx context.Context, c *Client) (any, error) { return c.TopUps.Get(ctx, "top_1") }},
	"getTopUpReceipt": {
		func(ctx context.Context, c *Client) (any, error) {
			return c.TopUps.Receipt(ctx, "top_1", filled[ReceiptQuery]())
		},
		func(ctx context.Context, c *Client) (any, error) {
			body, err := c.TopUps.DownloadReceipt(ctx, "top_1", filled[ReceiptQuery](), InvoicePDF)
			if err != nil {
				return nil, err
			}
			return nil, body.Close()
		},
	},
	"getAutoTopUp": {func(ctx context.Context, c *Client) (any, error) { return c.TopUps.Automatic(ctx) }},
	"setAutoTopUp": {func(ctx context.Context, c *Client) (any, error) {
		return c.TopUps.SetAutomatic(ctx, filled[SetAutoTopUp]())
	}},
	"listPaymentMethods": {
		func(ctx context.Context, c *Client) (any, error) {
			return c.TopUps.PaymentMethods(ctx, filled[Paging]())
		},
	},
	"deletePaymentMethod": {
		func(ctx context.Context, c *Client) (any, error) {
			return nil, c.TopUps.DeletePaymentMethod(ctx, "pmt_1")
		},
	},
	"listBudgets": {
		func(ctx context.Context, c *Client) (any, error) { return c.Budgets.List(ctx, filled[Paging]()) },
	},
	"getBudget": {func(ctx context.Context, c *Client) (any, error) { return c.Budgets.Get(ctx, "bud_1") }},
	"createBudget": {func(ctx context.Context, c *Client) (any, error) {
		return c.Budgets.Create(ctx, filled[CreateBudget]())
	}},
	"updateBudget": {func(ctx context.Context, c *Client) (any, error) {
		return c.Budgets.Update(ctx, "bud_1", filled[UpdateBudget]())
	}},
	"deleteBudget": {
		func(ctx context.Context, c *Client) (any, error) { return nil, c.Budgets.Delete(ctx, "bud_1") },
	},
	"listInvoices": {
		func(ctx context.Context, c *Client) (any, error) { return c.Invoices.List(ctx, filled[InvoiceQuery]()) },
	},
	"getInvoice": {
		func(ctx context.Context, c *Client) (any, error) { return c.Invoices.Get(ctx, "ivc_1") },
		func(ctx context.Context, c *Client) (any, error) {
			body, err := c.Invoices.Download(ctx, "ivc_1", InvoicePDF)
			if err != nil {
				return nil, err
			}
			return nil, body.Close()
		},
	},
	"previewInvoice": {
		func(ctx context.Context, c *Client) (any, error) { return c.Invoices.Preview(ctx) },
	},
	"getBillingDetails": {
		func(ctx context.Context, c *Client) (any, error) { return c.Invoices.BillingDetails(ctx) },
	},
	"listWebhooks": {
		func(ctx context.Context, c *Client) (any, error) { return c.Webhooks.List(ctx, filled[Paging]()) },
	},
	"getWebhook": {func(ctx context.Context, c *Client) (any, error) { return c.Webhooks.Get(ctx, "whk_1") }},
	"createWebhook": {func(ctx context.Context, c *Client) (any, error) {
		return c.Webhooks.Create(ctx, filled[CreateWebhook]())
	}},
	"updateWebhook": {func(ctx context.Context, c *Client) (any, error) {
		return c.Webhooks.Update(ctx, "whk_1", filled[UpdateWebhook]())
	}},
	"deleteWebhook": {
		func(ctx context.Context, c *Client) (any, error) { return nil, c.Webhooks.Delete(ctx, "whk_1") },
	},
	"rotateWebhookSecret": {
		func(ctx context.Context, c *Client) (any, error) { return c.Webhooks.RotateSecret(ctx, "whk_1") },
	},
	"testWebhook": {func(ctx context.Context, c *Client) (any, error) { return c.Webhooks.Test(ctx, "whk_1") }},
	"listWebhookDeliveries": {func(ctx context.Context, c *Client) (any, error) {
		return c.Webhooks.Deliveries(ctx, "whk_1", filled[WebhookDeliveryQuery]())
	}},
	"replayWebhookDelivery": {
		func(ctx context.Context, c *Client) (any, error) { return c.Webhooks.Replay(ctx, "whk_1", "whd_1") },
	},

	"getWallet": {func(ctx context.Context, c *Client) (any, error) { return c.Wallet.Get(ctx) }},
	"getUsage": {
		func(ctx context.Context, c *Client) (any, error) { return c.Wallet.Usage(ctx, filled[UsageQuery]()) },
		func(ctx context.Context, c *Client) (any, error) {
			body, err := c.Wallet.FOCUS(ctx, filled[FOCUSQuery]())
			if err != nil {
				return nil, err
			}
			_, err = io.Copy(io.Discard, body)
			return nil, errors.Join(err, body.Close())
		},
	},
	"listTransactions": {
		func(ctx context.Context, c *Client) (any, error) {
			return c.Wallet.Transactions(ctx, filled[TransactionQuery]())
		},
		func(ctx context.Context, c *Client) (any, error) {
			body, err := c.Wallet.TransactionsCSV(ctx, TransactionQuery{})
			if err != nil {
				return nil, err
			}
			_, err = io.Copy(io.Discard, body)
			return nil, errors.Join(err, body.Close())
		},
	},

	"getQuotas": {func(ctx context.Context, c *Client) (any, error) { return c.Quotas.Get(ctx) }},
	"listServiceCredits": {
		func(ctx context.Context, c *Client) (any, error) {
			return c.Wallet.ServiceCredits(ctx, filled[ServiceCreditQuery]())
		},
	},
	"listAnnouncements": {
		func(ctx context.Context, c *Client) (any, error) { return c.Announcements.List(ctx, filled[Paging]()) },
	},
	"getSite":          {func(ctx context.Context, c *Client) (any, error) { return c.Public.Site(ctx) }},
	"getPublicPrices":  {func(ctx context.Context, c *Client) (any, error) { return c.Public.Prices(ctx) }},
	"getPublicLedger":  {func(ctx context.Context, c *Client) (any, error) { return c.Public.Ledger(ctx) }},
	"getPublicStatus":  {func(ctx context.Context, c *Client) (any, error) { return c.Public.Status(ctx) }},
	"getCurrentApiKey": {func(ctx context.Context, c *Client) (any, error) { return c.Key.Get(ctx) }},

	"listEvents": {
		func(ctx context.Context, c *Client) (any, error) { return c.Events.List(ctx, filled[EventQuery]()) },
		func(ctx context.Context, c *Client) (any, error) {
			for _, err := range c.Events.Stream(ctx, "evt_1", filled[EventFilter]()) {
				return nil, err
			}
			return nil, nil
		},
	},
}

// filled returns a T with a value in every field, except Changes.
func filled[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem())
	return v
}

func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2028, 2, 29, 12, 0, 0, 1000, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	default:
		panic("no value for a " + v.Type().String())
	}
}

// TestEveryOperationHasMethod checks that every operation for API keys has a method or an
// exception, sends all parameters, and decodes the response without loss, both complete and with
// nulls.
func TestEveryOperationHasMethod(t *testing.T) {
	d, ops := load(t)
	for id, o := range ops {
		_, has := methods[id]
		_, but := exceptions[id]
		if want := o.takesKeys() && !operators(o) && !but; want != has && !slices.Contains(withoutKey, id) {
			t.Errorf("%s (%s %s): has a method: %t, should have: %t", id, o.method, o.path, has, want)
		}
	}
	for id := range exceptions {
		if o, has := ops[id]; !has || !o.takesKeys() {
			t.Errorf("the exception %s is no operation of an API key", id)
		}
	}
	for id, calls := range methods {
		for _, bare := range []bool{false, true} {
			w := d.told(t, ops, id, calls, bare)
			for _, p := range ops[id].Parameters {
				if p.In == "query" && !w.query[p.Name] && spellings[p.Name] == "" {
					t.Errorf("%s: the parameter %s cannot be given", id, p.Name)
				}
			}
			if b := ops[id].RequestBody; b != nil {
				for name := range d.Components.Schemas[schemaName(b.Content["application/json"].Schema)].Properties {
					if !w.body[name] && spellings[name] == "" {
						t.Errorf("%s: the field %s cannot be given", id, name)
					}
				}
			}
		}
	}
}

// told makes the calls of an operation, and returns what the server was told. bare has it answer
// with nulls.
func (d document) told(
	t *testing.T, ops map[string]operation, id string, calls []func(context.Context, *Client) (any, error),
	bare bool,
) *told {
	t.Helper()
	w := &told{query: map[string]bool{}, body: map[string]bool{}}
	server := httptest.NewServer(d.serve(ops, w, bare))
	defer server.Close()
	c, err := New(Config{BaseURL: server.URL, APIKey: "pk_live_test", MaxRetries: -1})
	if err != nil {
		t.Fatal(err)
	}
	for i, call := range calls {
		w.sent = nil
		got, err := call(t.Context(), c)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		if w.op != id {
			t.Errorf("the method of %s calls %s", id, w.op)
		}
		if got != nil {
			same(t, fmt.Sprintf("%s/%d", id, i), w.sent[0], got)
		}
	}
	for _, fault := range w.wrong {
		t.Error(fault)
	}
	return w
}

// schemaName returns the name of the schema to which s refers.
func schemaName(s schema) string { return filepath.Base(s.Ref) }

// same compares a response with its decoded form.
func same(t *testing.T, name, sent string, got any) {
	t.Helper()
	v := reflect.ValueOf(got).Elem()
	back := map[string]any{"success": true, "data": got}
	if strings.HasPrefix(name, "createDevice") { // OAuth's answers have no envelope
		if a, b := canonical(t, []byte(sent)), canonical(t, must(t, got)); a != b {
			t.Errorf("%s: the server sent\n%s\nand the client kept\n%s", name, a, b)
		}
		return
	}
	if items := v.FieldByName("Items"); items.IsValid() {
		back["data"], back["pagination"] = items.Interface(), v.FieldByName("Pagination").Interface()
		if w := v.FieldByName("Warnings"); w.Len() > 0 {
			back["warnings"] = w.Interface()
		}
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := canonical(t, []byte(sent)), canonical(t, again); a != b {
		t.Errorf("%s: the server said\n%s\nand the client kept\n%s", name, a, b)
	}
}

func must(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func canonical(t *testing.T, b []byte) string {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	out, _ := json.Marshal(v)
	return string(out)
}

// types are the Go types of the document's schemas.
var types = map[string]reflect.Type{
	"Capabilities": reflect.TypeFor[Capabilities](), "AttachVolume": reflect.TypeFor[attachVolume](),
	"Attempt":       reflect.TypeFor[Attempt](),
	"FieldError":    reflect.TypeFor[FieldError](),
	"CurrentAPIKey": reflect.TypeFor[Key](), "KeyAccount": reflect.TypeFor[KeyAccount](),
	"SpendingLimits": reflect.TypeFor[SpendingLimits](), "Spent": reflect.TypeFor[Spent](),
	"AutoTopUp": reflect.TypeFor[AutoTopUp](), "CreateTopUp": reflect.TypeFor[CreateTopUp](),
	"PaymentMethod": reflect.TypeFor[PaymentMethod](), "SetAutoTopUp": reflect.TypeFor[SetAutoTopUp](),
	"TopUp": reflect.TypeFor[TopUp](), "TopUpRefund": reflect.TypeFor[TopUpRefund](),
	"Credit": reflect.TypeFor[Credit](), "RedeemPromoCode": reflect.TypeFor[RedeemPromoCode](),
	"Receipt": reflect.TypeFor[Receipt](),
	"Budget":  reflect.TypeFor[Budget](), "BudgetScope": reflect.TypeFor[BudgetScope](),
	"WantedBudgetScope": reflect.TypeFor[BudgetScope](),
	"CreateBudget":      reflect.TypeFor[CreateBudget](), "UpdateBudget": reflect.TypeFor[UpdateBudget](),
	"ServiceCredit": reflect.TypeFor[ServiceCredit](),
	"Invoice":       reflect.TypeFor[Invoice](), "InvoiceSummary": reflect.TypeFor[InvoiceSummary](),
	"InvoiceLine": reflect.TypeFor[InvoiceLine](), "InvoiceBalance": reflect.TypeFor[InvoiceBalance](),
	"InvoiceMovement": reflect.TypeFor[InvoiceMovement](), "InvoiceTotals": reflect.TypeFor[InvoiceTotals](),
	"MissingBillingDetail":  reflect.TypeFor[MissingBillingDetail](),
	"AccountBillingDetails": reflect.TypeFor[AccountBillingDetails](),
	"InvoiceEarlierMonth":   reflect.TypeFor[InvoiceEarlierMonth](),
	"TaxTreatment":          reflect.TypeFor[TaxTreatment](), "Seller": reflect.TypeFor[Seller](),
	"TaxConversion":  reflect.TypeFor[TaxConversion](),
	"BillingDetails": reflect.TypeFor[BillingDetails](),
	"BindingLimit":   reflect.TypeFor[BindingLimit](), "Estimate": reflect.TypeFor[Estimate](),
	"EstimatedRefund": reflect.TypeFor[EstimatedRefund](),
	"Erasure":         reflect.TypeFor[Erasure](), "ErasedDrive": reflect.TypeFor[ErasedDrive](),
	"CanTerminate": reflect.TypeFor[CanTerminate](), "Candidate": reflect.TypeFor[Candidate](),
	"Capacity":    reflect.TypeFor[Capacity](),
	"CheckOffers": reflect.TypeFor[CheckOffers](), "CreateDeployment": reflect.TypeFor[CreateDeployment](),
	"CreateQuote":               reflect.TypeFor[createQuote](),
	"CreateDeviceAuthorization": reflect.TypeFor[createDeviceAuthorization](),
	"DeviceCodes":               reflect.TypeFor[deviceCodes](),
	"CreateDeviceToken":         reflect.TypeFor[createDeviceToken](), "DeviceToken": reflect.TypeFor[deviceToken](),
	"BulkDeployments": reflect.TypeFor[BulkDeployments](), "BulkFilter": reflect.TypeFor[BulkFilter](),
	"BulkResults": reflect.TypeFor[BulkResults](), "BulkResult": reflect.TypeFor[BulkResult](),
	"BulkError": reflect.TypeFor[BulkError](),
	"Creator":   reflect.TypeFor[Creator](), "CreateSSHKey": reflect.TypeFor[CreateSSHKey](),
	"CreateImage": reflect.TypeFor[CreateImage](), "Image": reflect.TypeFor[Image](),
	"CreateVolume":          reflect.TypeFor[CreateVolume](),
	"Deployment":            reflect.TypeFor[Deployment](),
	"DeploymentHealth":      reflect.TypeFor[DeploymentHealth](),
	"CheckDeploymentHealth": reflect.TypeFor[CheckDeploymentHealth](),
	"HealthReport":          reflect.TypeFor[HealthReport](), "HealthCheck": reflect.TypeFor[HealthCheck](),
	"NodeHealth": reflect.TypeFor[NodeHealth](), "GPUCheck": reflect.TypeFor[GPUCheck](),
	"CheckedGPU":   reflect.TypeFor[GPU](),
	"DetachVolume": reflect.TypeFor[detachVolume](), "Event": reflect.TypeFor[Event](),
	"GPUFacet": reflect.TypeFor[GPUType](), "Index": reflect.TypeFor[Index](),
	"Offer": reflect.TypeFor[Offer](), "Pagination": reflect.TypeFor[Pagination](),
	"LowBalance": reflect.TypeFor[LowBalance](),
	"PastDue":    reflect.TypeFor[PastDue](), "PriceHistory": reflect.TypeFor[PriceHistory](),
	"PricePoint": reflect.TypeFor[PricePoint](), "ProviderFacet": reflect.TypeFor[Provider](),
	"QuotaLimits": reflect.TypeFor[QuotaLimits](), "QuotaUsage": reflect.TypeFor[QuotaUsage](),
	"Quotas":      reflect.TypeFor[Quotas](),
	"RegionFacet": reflect.TypeFor[Region](),
	"Node":        reflect.TypeFor[Node](), "ReinstallDeployment": reflect.TypeFor[ReinstallDeployment](),
	"Reliability": reflect.TypeFor[Reliability](), "RenameSSHKey": reflect.TypeFor[renameSSHKey](),
	"RunningView": reflect.TypeFor[ActiveDeployment](), "SSHKey": reflect.TypeFor[SSHKey](),
	"SSHKeyReference": reflect.TypeFor[SSHKeyReference](),
	"Share":           reflect.TypeFor[Share](), "Shortfall": reflect.TypeFor[Shortfall](),
	"Step":  reflect.TypeFor[Step](),
	"Terms": reflect.TypeFor[Quote](), "Transaction": reflect.TypeFor[Transaction](),
	"UpdateDeployment": reflect.TypeFor[UpdateDeployment](), "UpdateVolume": reflect.TypeFor[UpdateVolume](),
	"Usage":      reflect.TypeFor[Usage](),
	"UsageGroup": reflect.TypeFor[UsageCost](), "Volume": reflect.TypeFor[Volume](),
	"VolumeOnBill": reflect.TypeFor[BilledVolume](),
	"VolumePrice":  reflect.TypeFor[VolumePrice](), "Wallet": reflect.TypeFor[Wallet](),
	"WalletForecast": reflect.TypeFor[WalletForecast](), "ForecastDay": reflect.TypeFor[ForecastDay](),
	"UsageDay":      reflect.TypeFor[UsageDay](),
	"CreateWebhook": reflect.TypeFor[CreateWebhook](), "NewWebhook": reflect.TypeFor[NewWebhook](),
	"UpdateWebhook": reflect.TypeFor[UpdateWebhook](),
	"Webhook":       reflect.TypeFor[Webhook](), "WebhookAttempt": reflect.TypeFor[WebhookAttempt](),
	"WebhookDelivery": reflect.TypeFor[WebhookDelivery](),
	"SiteInfo":        reflect.TypeFor[Site](), "SiteLogo": reflect.TypeFor[Logo](),
	"Notice":      reflect.TypeFor[Announcement](),
	"PublicPages": reflect.TypeFor[PublicPages](),
	"LedgerKeys":  reflect.TypeFor[LedgerKeys](), "LedgerKey": reflect.TypeFor[LedgerKey](),
	"LedgerDay":    reflect.TypeFor[LedgerDay](),
	"PublicPrices": reflect.TypeFor[PublicPrices](), "PriceGroup": reflect.TypeFor[PriceGroup](),
	"PriceRegion": reflect.TypeFor[PriceRegion](), "PublicStatus": reflect.TypeFor[PublicStatus](),
	"ServerStatus": reflect.TypeFor[ServerStatus](), "ProviderStatus": reflect.TypeFor[ProviderHealth](),
	"RegionStatus": reflect.TypeFor[RegionHealth](), "PublicIncident": reflect.TypeFor[Incident](),
}

// TestClient_SendsIdempotencyKeysThatAreHonored checks every POST that needs no session.
func TestClient_SendsIdempotencyKeysThatAreHonored(t *testing.T) {
	_, ops := load(t)
	for id, o := range ops {
		if !strings.EqualFold(o.method, "POST") || len(o.Security) == 1 { // that of a session
			continue
		}
		want := false
		for _, p := range o.Parameters {
			want = want || p.Name == "Idempotency-Key"
		}
		if got := honorsKey("https://billet.example" + o.path); got != want {
			t.Errorf("%s: got a key: %t, want %t", id, got, want)
		}
	}
}

// TestEverySchemaHasType checks that every schema of a method has a type with the same fields, of
// the same types and nullability.
func TestEverySchemaHasType(t *testing.T) {
	d, ops := load(t)
	used := map[string]bool{}
	for id := range methods {
		o := ops[id]
		if o.RequestBody != nil {
			d.reach(o.RequestBody.Content["application/json"].Schema, used)
		}
		for status, r := range o.Responses {
			if strings.HasPrefix(status, "2") {
				d.reach(r.Content["application/json"].Schema, used)
			}
		}
	}
	if !maps.EqualFunc(used, types, func(bool, reflect.Type) bool { return true }) {
		t.Errorf("schemas are %v, types %v", slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(types)))
	}
	words := constants(t)
	for name, of := range types {
		s := d.Components.Schemas[name]
		fields := map[string]bool{}
		for _, f := range reflect.VisibleFields(of) {
			if f.Anonymous { // its fields come one by one
				continue
			}
			tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			p, known := s.Properties[tag]
			if !known {
				t.Errorf("%s.%s: %s has no field %q", of, f.Name, name, tag)
				continue
			}
			fields[tag] = true
			if may := options != ""; may == slices.Contains(s.Required, tag) {
				t.Errorf("%s.%s: left out: %t", of, f.Name, may)
			}
			if fault := mismatch(p, f.Type, options != "", words); fault != "" {
				t.Errorf("%s.%s is a %s: %s", of, f.Name, f.Type, fault)
			}
		}
		for tag := range s.Properties {
			if !fields[tag] && spellings[tag] == "" {
				t.Errorf("%s has no field for %q of %s", of, tag, name)
			}
		}
	}
}

// reach adds the names of the schemas to which s refers, and of those to which these refer.
func (d document) reach(s schema, names map[string]bool) {
	name := filepath.Base(s.Ref)
	switch {
	case strings.HasSuffix(name, "Envelope") || strings.HasSuffix(name, "Page"): // what is inside it has a type
		d.reach(d.Components.Schemas[name], names)
	case s.Ref != "" && !names[name]:
		names[name] = true
		d.reach(d.Components.Schemas[name], names)
	}
	if s.Items != nil {
		d.reach(*s.Items, names)
	}
	for _, o := range s.OneOf {
		d.reach(o, names)
	}
	for _, p := range s.Properties {
		d.reach(p, names)
	}
}

// mismatch describes why a field of that type cannot hold what the schema allows, or returns "".
func mismatch(s schema, f reflect.Type, leftOut bool, words map[string][]string) string {
	kind, nullable := s.kind()
	if len(s.OneOf) > 0 {
		s, nullable = s.OneOf[0], true // a reference that may be null
	}
	if strings.HasPrefix(f.Name(), "Change[") {
		if v, _ := f.FieldByName("value"); nullable && leftOut {
			return mismatch(schema{Type: kind, Format: s.Format}, v.Type.Elem(), false, words)
		}
		return "a Change is for what may be null and left out"
	}
	if f.Kind() == reflect.Pointer {
		if !nullable && !leftOut {
			return "it is never null"
		}
		f = f.Elem()
	} else if nullable {
		return "it may be null"
	}
	if s.Ref != "" {
		if types[filepath.Base(s.Ref)] != f {
			return "the schema is " + s.Ref
		}
		return ""
	}
	if kind == "array" {
		if f.Kind() != reflect.Slice {
			return "it is a list"
		}
		return mismatch(*s.Items, f.Elem(), false, words)
	}
	if want, has := wholeTypes[cmp.Or(s.Format, kind)]; has {
		if f != want {
			return "it is a " + want.String()
		}
		return ""
	}
	if f.Kind() != kinds[kind] {
		return "it is a " + kind
	}
	return mismatchOfWords(s, f, words)
}

// wholeTypes are the types of formats and kinds that have one, kinds the kinds of the other types.
var (
	wholeTypes = map[string]reflect.Type{
		"date-time": reflect.TypeFor[time.Time](), "decimal": reflect.TypeFor[Money](),
		"object": reflect.TypeFor[json.RawMessage](),
	}
	kinds = map[string]reflect.Kind{
		"string": reflect.String, "integer": reflect.Int, "number": reflect.Float64, "boolean": reflect.Bool,
	}
)

// mismatchOfWords compares the words of an enumeration with the constants of the field's type.
func mismatchOfWords(s schema, f reflect.Type, words map[string][]string) string {
	var enum []string
	for _, v := range s.Enum {
		if text, is := v.(string); is {
			enum = append(enum, text)
		}
	}
	slices.Sort(enum)
	if narrower[f] && len(enum) > 0 {
		for _, word := range enum {
			if !slices.Contains(words[f.Name()], word) {
				return fmt.Sprintf("it may be %s, for which there is no constant", word)
			}
		}
	} else if len(enum) > 0 && !slices.Equal(enum, words[f.Name()]) {
		return fmt.Sprintf("it is one of %v; the constants are %v", enum, words[f.Name()])
	}
	if len(enum) == 0 && f.Kind() == reflect.String && f.Name() != "string" {
		return "it is any text"
	}
	return ""
}

// constants returns the package's constants of string types, sorted.
func constants(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			v, is := n.(*ast.ValueSpec)
			if !is || len(v.Values) != 1 {
				return true
			}
			of, typed := v.Type.(*ast.Ident)
			text, literal := v.Values[0].(*ast.BasicLit)
			if typed && literal && text.Kind == token.STRING {
				s, _ := strconv.Unquote(text.Value)
				out[of.Name] = append(out[of.Name], s)
			}
			return true
		})
	}
	for _, values := range out {
		slices.Sort(values)
	}
	return out
}

func TestEveryErrorCodeHasConstant(t *testing.T) {
	d, _ := load(t)
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| (?:\\d+ \\| "+
		")?`([A-Za-z_]+)`").FindAllStringSubmatch(d.Info.Description, -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(documented)
	if got := constants(t)["Code"]; len(got) < 20 || !slices.Equal(got, documented) {
		t.Errorf("the document has the codes\n%v\nand the client\n%v", documented, got)
	}
}
