package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/rest"
)

// The roles that may make each call, by a word for each set of them. A call that is not here fails
// the test, so that each new call is decided about.
const (
	anybody   = "" // no session is needed
	everyRole = "owner admin member viewer billing"
	managers  = "owner admin"
	workers   = "owner admin member"
	readers   = "owner admin member viewer"
	operators = "operator" // whatever their role, and no other user
	keysOnly  = "-"        // no session will do, only an API key
)

var whoMay = map[string]string{
	"getHealth": anybody, "getReadiness": anybody, "getIndex": anybody, "getSignIn": anybody, "signIn": anybody,
	"getSetup": anybody, "createFirstOperator": anybody,
	"createPasskeySignInOptions": anybody,
	"signInWithPasskey":          anybody, "startOidc": anybody, "finishOidc": anybody, "previewInvitation": anybody,
	"acceptInvitation": anybody, "createChallenge": anybody, "createRegistration": anybody,
	"previewRegistration": anybody, "verifyRegistration": anybody, "createPasswordReset": anybody,
	"confirmPasswordReset": anybody, "inviteUser": operators,
	"createDeviceAuthorization": anybody, "createDeviceToken": anybody, "lookUpDeviceAuthorization": workers,
	"approveDeviceAuthorization": workers,
	"denyDeviceAuthorization":    workers,

	"startAccountView": operators, "endAccountView": everyRole,
	"listSessions": everyRole, "signOut": everyRole, "endOtherSessions": everyRole, "endSession": everyRole,
	"getMe": everyRole, "updateMe": everyRole, "getMailPreferences": everyRole,
	"updateMailPreferences": everyRole,
	"switchAccount":         everyRole, "changePassword": everyRole, "startTotp": everyRole, "confirmTotp": everyRole,
	"removeTotp":   everyRole,
	"listPasskeys": everyRole, "createPasskeyOptions": everyRole, "addPasskey": everyRole,
	"renamePasskey": everyRole, "removePasskey": everyRole,

	"listMembers": managers, "updateMember": managers, "removeMember": managers, "listInvitations": managers,
	"createInvitation": managers,
	"revokeInvitation": managers, "listAudit": managers,
	"getCurrentApiKey": keysOnly,
	"listApiKeys":      workers, "createApiKey": workers, "getApiKey": workers, "updateApiKey": workers,
	"revokeApiKey": workers,

	"listOffers": everyRole, "getOffer": everyRole, "getPriceHistory": everyRole, "checkOffers": everyRole,
	"createQuote": workers, "getQuote": everyRole, "listProviders": everyRole, "listRegions": everyRole,
	"listGpuTypes":    everyRole,
	"listDeployments": everyRole, "getDeployment": everyRole, "canTerminateDeployment": everyRole,
	"listDeploymentEvents": everyRole,
	"getDeploymentHealth":  everyRole, "checkDeploymentHealth": workers,
	"bulkUpdateDeployments": workers,
	"createDeployment":      workers, "updateDeployment": workers, "terminateDeployment": workers,
	"rebootDeployment": workers, "powerOnDeployment": workers,
	"powerOffDeployment": workers, "reinstallDeployment": workers,
	"rescueDeployment": workers, "endDeploymentRescue": workers,
	"listImages": everyRole, "getImage": everyRole, "createImage": workers, "deleteImage": workers,
	"listSshKeys": readers, "getSshKey": readers, "createSshKey": workers, "renameSshKey": workers,
	"deleteSshKey": workers,
	"listVolumes":  everyRole, "getVolume": everyRole, "listVolumePricing": everyRole,
	"createVolume": workers, "updateVolume": workers, "deleteVolume": workers, "attachVolume": workers,
	"detachVolume": workers,
	"listWebhooks": readers, "getWebhook": readers, "listWebhookDeliveries": readers, "createWebhook": workers,
	"updateWebhook": workers, "deleteWebhook": workers,
	"rotateWebhookSecret": workers, "testWebhook": workers, "replayWebhookDelivery": workers,
	"listEvents": everyRole, "openTerminal": workers, "openConsole": workers,
	"listServiceCredits": everyRole, "listAllServiceCredits": operators, "createServiceCredit": operators,
	"getAnyServiceCredit": operators, "approveServiceCredit": operators, "rejectServiceCredit": operators,
	"listIssues": operators, "getIssue": operators, "terminateIssueResource": operators,
	"adoptIssueMachine": operators, "dismissIssue": operators,
	"listAccounts": operators, "createAccount": operators,
	"listAccountMembers": operators, "listAccountApiKeys": operators, "listAccountTransactions": operators,
	"listAccountAudit": operators, "inviteAccountOwner": operators,
	"getAccount": operators, "creditAccount": operators, "setMarkup": operators, "setTrusted": operators,
	"listProviderAccounts": operators,
	"listJobs":             operators, "getMargins": operators, "getSettings": operators, "updateSettings": operators,
	"testMail": operators, "listMails": operators, "setLogo": operators, "removeLogo": operators,
	"getSite": anybody, "getPublicPrices": anybody, "getPublicStatus": anybody, "getPublicLedger": anybody,
	"listAnnouncements": everyRole, "listAllAnnouncements": operators, "createAnnouncement": operators,
	"getAnnouncement": operators, "updateAnnouncement": operators, "deleteAnnouncement": operators,
	"getSimulator": operators, "advanceSimulator": operators, "listSimulatorFaults": operators,
	"listAllDeployments": operators, "listAllVolumes": operators, "terminateAnyDeployment": operators,
	"suspendAccount": operators, "resumeAccount": operators, "getAccountQuotas": operators,
	"setAccountQuotas": operators,
	"getDefaultQuotas": operators, "setDefaultQuotas": operators, "getQuotas": everyRole,
	"retryJob":          operators,
	"listProviderKinds": operators, "createProviderAccount": operators, "updateProviderAccount": operators,
	"checkProviderAccount": operators, "pauseProviderAccount": operators, "drainProviderAccount": operators,
	"resumeProviderAccount": operators,
	"deleteProviderAccount": operators,
	"listPriceRules":        operators, "createPriceRule": operators, "getPriceRule": operators,
	"updatePriceRule": operators, "deletePriceRule": operators, "previewPriceRule": operators,
	"listMachines": operators, "createMachine": operators, "getMachine": operators, "updateMachine": operators,
	"destroyMachineDrive": operators, "deleteMachine": operators,
	"listMachineHistory": operators, "drainMachine": operators,
	"quarantineMachine": operators, "inspectMachine": operators, "validateMachine": operators,
	"releaseMachine": operators, "listMachineErasures": operators, "listMachineImages": operators,
	"setMachineImage": operators, "deleteMachineImage": operators, "getDeploymentErasure": everyRole,
	"addSimulatorFault":    operators,
	"clearSimulatorFaults": operators, "clearSimulatorFault": operators,
	"listBudgets": everyRole, "getBudget": everyRole, "createBudget": workers, "updateBudget": workers,
	"deleteBudget": workers,
	"listInvoices": everyRole, "previewInvoice": everyRole, "getInvoice": everyRole, "getBillingDetails": everyRole,
	"setBillingDetails": "owner admin billing", "listAllInvoices": operators, "getAnyInvoice": operators,
	"getAnyTopUp": operators, "checkPayments": operators, "previewAnyInvoice": operators,
	"getInvoiceSettings": operators, "setInvoiceSettings": operators, "getTaxRates": operators,
	"createCreditNote": operators,
	"setTaxRates":      operators, "listExchangeRates": operators, "addExchangeRates": operators,
	"importExchangeRates": operators, "deleteExchangeRate": operators,
	"createTopUp": "owner admin billing", "listTopUps": everyRole, "getTopUp": everyRole,
	"redeemPromoCode": "owner admin billing", "listPromoCodes": operators, "createPromoCode": operators,
	"getPromoCode": operators, "updatePromoCode": operators, "deletePromoCode": operators,
	"listPromoCodeRedemptions": operators,
	"listCredits":              everyRole, "listAccountCredits": operators,
	"getTopUpReceipt": everyRole,
	"getAutoTopUp":    everyRole,
	"setAutoTopUp":    "owner admin billing", "listPaymentMethods": everyRole,
	"deletePaymentMethod": "owner admin billing",
	"listAllTopUps":       operators, "confirmTopUp": operators, "refundTopUp": operators,
	"closeTopUp": operators, "listAdjustments": operators, "approveAdjustment": operators,
	"rejectAdjustment": operators, "withdrawAdjustment": operators,
	"getMetrics": everyRole, "getWallet": everyRole, "listTransactions": everyRole, "getUsage": everyRole,
}

// Every call of the route table, by every role.
func TestThePermissionMatrix(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		routes := w.s.Routes()
		slices.SortFunc(routes, func(a, b *rest.Route) int { // signing out comes last
			if (a.ID == "signOut") != (b.ID == "signOut") {
				if a.ID == "signOut" {
					return 1
				}
				return -1
			}
			return strings.Compare(a.ID, b.ID)
		})
		decided := map[string]bool{}
		for _, role := range append(slices.Clone(account.Roles), operators) {
			email := string(role) + "@example.com"
			if role == operators { // with the least of roles beside it
				w.newUser(
					w.ada,
					account.Billing,
					account.UserRequest{Email: email, Password: goodPassword, Operator: true},
				)
			} else {
				w.user(w.ada, role, email)
			}
			cookie := w.cookie(email)
			for _, rt := range routes {
				roles, known := whoMay[rt.ID]
				decided[rt.ID] = true
				if !known {
					t.Errorf("%s %s (%s): which roles may make this call? Decide in whoMay", rt.Method, rt.Path, rt.ID)
					continue
				}
				if (roles == anybody) != (rt.Auth == rest.Public) ||
					(roles == operators) != (rt.Auth == rest.OperatorOnly) ||
					(roles == keysOnly) != (rt.Auth == rest.APIKeyOnly) {
					t.Errorf("%s: whoMay says %q, and the route is for %v", rt.ID, roles, rt.Auth)
				}
				if roles != anybody && (role != operators || roles == operators) {
					w.callAs(role, cookie, rt, roles)
				}
			}
		}
		for id := range whoMay {
			if !decided[id] {
				t.Errorf("there is no call %s", id)
			}
		}
	})
}

// callAs calls a route with the session of a role, and fails the test unless exactly those roles
// are allowed to.
func (w *world) callAs(role account.Role, cookie string, rt *rest.Route, roles string) {
	w.t.Helper()
	target := strings.NewReplacer("{id}", "dep_x", "{offerId}", "off_x").Replace(rt.Path)
	r := w.by(0, cookie, rt.Method, target, nil, func(r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute) // for a call that goes on and on
		w.t.Cleanup(cancel)
		*r = *r.WithContext(ctx)
	})
	if slices.Contains(strings.Fields(roles), string(role)) {
		if r.status == http.StatusUnauthorized || r.status == http.StatusForbidden {
			w.t.Errorf("a %s may not %s: %d %s", role, rt.ID, r.status, r.body)
		}
		return
	}
	code, told := "INSUFFICIENT_SCOPE", "owner"
	switch roles {
	case keysOnly:
		code, told = "MISSING_API_KEY", AccountBase+"/me"
	case operators:
		told = "operator"
	}
	if r.code != code || !strings.Contains(fmt.Sprint(r.error["message"]), told) {
		w.t.Errorf("a %s may %s: %d %s", role, rt.ID, r.status, r.body)
	}
}

func TestARoleCountsFromTheNextCallOn(t *testing.T) {
	w := newWorld(t)
	owner := w.signIn(w.ada)
	p := w.user(w.ada, account.Member, "member@example.com")
	cookie := w.cookie(p.Email)
	key := map[string]string{"name": "a", "publicKey": publicKey(t)}
	w.by(201, cookie, "POST", Base+"/ssh-keys", key)
	w.by(200, owner, "PATCH", AccountBase+"/members/"+string(p.ID), map[string]string{"role": "viewer"})
	r := w.by(403, cookie, "POST", Base+"/ssh-keys", key)
	if details := r.error["details"].(map[string]any); details["requiredScope"] != "ssh-keys:write" ||
		details["role"] != "viewer" {
		t.Errorf("%s", r.body)
	}
	w.by(200, cookie, "GET", Base+"/ssh-keys", nil)
	w.by(200, owner, "DELETE", AccountBase+"/members/"+string(p.ID), nil)
	w.by(401, cookie, "GET", Base+"/ssh-keys", nil)
}

func TestASessionHasItsOwnLimits(t *testing.T) {
	w := newWorld(t)
	first := w.signIn(w.ada)
	second := w.cookie(string(w.ada.account) + "@example.com")
	for cookie, left := range map[string]string{first: "598", second: "598"} {
		w.by(200, cookie, "GET", AccountBase+"/me", nil)
		r := w.by(200, cookie, "GET", Base+"/wallet", nil)
		same(t, "reads", r.header.Get("X-RateLimit-Limit")+" "+r.header.Get("X-RateLimit-Remaining"), "600 "+left)
	}
	same(t, "writes", w.by(404, first, "DELETE", Base+"/ssh-keys/ssh_none", nil).header.Get("X-RateLimit-Limit"), 120)
	body := w.seedBody()
	body["dryRun"] = true
	same(t, "deploys", w.by(200, first, "POST", Base+"/deployments", body).header.Get("X-RateLimit-Limit"), 5)
}
