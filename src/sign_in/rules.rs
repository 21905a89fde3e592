//! The rules about whoever the throttle let through: what stands against a session, in the contract's order.
//!
//! Nothing is read or written here, so that a sign-in and what `customer why` tells of it cannot disagree.

use crate::config::{Guest, NewCustomerEmail, SignInConfig, UnknownEmail};
use crate::domain::Refusal;
use crate::store::Customer;

/// Each refusal in the order of the checks, and whether it stands against the customer. `None` is an address that
/// nobody has.
#[must_use]
pub fn rules(policy: &SignInConfig, customer: Option<&Customer>) -> [(Refusal, bool); 4] {
    let is = |fact: fn(&Customer) -> bool| customer.is_some_and(fact);
    let is_authorized = match customer {
        Some(customer) => customer.is_authorized,
        None => policy.new_customer_email == NewCustomerEmail::Authorized,
    };
    [
        (Refusal::Banned, is(|customer| customer.is_banned)),
        (Refusal::UnknownEmail, customer.is_none() && policy.unknown_email == UnknownEmail::Refuse),
        (Refusal::NotRegistered, is(|customer| !customer.is_registered) && policy.guest == Guest::Refuse),
        (Refusal::NotAuthorized, !is_authorized),
    ]
}

/// The first refusal that stands against the customer: it is the answer.
#[must_use]
pub fn first_refusal(policy: &SignInConfig, customer: Option<&Customer>) -> Option<Refusal> {
    rules(policy, customer).into_iter().find_map(|(refusal, stands)| stands.then_some(refusal))
}

/// Whether an address that nobody has gets its customer all the same: only who is there can be authorized.
#[must_use]
pub fn makes_customer_despite(refusal: Refusal) -> bool {
    refusal == Refusal::NotAuthorized
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DenyConfig;
    use crate::domain::CustomerId;

    const LENIENT: SignInConfig = SignInConfig {
        unknown_email: UnknownEmail::Create,
        guest: Guest::Promote,
        new_customer_email: NewCustomerEmail::Authorized,
        deny: DenyConfig::NOBODY,
    };

    const STRICT: SignInConfig = SignInConfig {
        unknown_email: UnknownEmail::Refuse,
        guest: Guest::Refuse,
        new_customer_email: NewCustomerEmail::Unauthorized,
        deny: DenyConfig::NOBODY,
    };

    const CUSTOMER: Customer = Customer {
        id: CustomerId(1),
        is_registered: true,
        is_authorized: true,
        is_banned: false,
        has_first_name: false,
        has_last_name: false,
    };

    fn standing(policy: &SignInConfig, customer: Option<Customer>) -> Vec<&'static str> {
        let rules = rules(policy, customer.as_ref()).into_iter();
        rules.filter(|(_, stands)| *stands).map(|(refusal, _)| refusal.code()).collect()
    }

    #[test]
    fn whoever_is_well_known_passes_every_rule() {
        assert!(standing(&LENIENT, None).is_empty());
        for policy in [&LENIENT, &STRICT] {
            assert!(standing(policy, Some(CUSTOMER)).is_empty());
        }
    }

    #[test]
    fn all_that_stands_is_told_in_the_order_of_the_contract() {
        let guest = Customer { is_registered: false, ..CUSTOMER };
        let waiting = Customer { is_authorized: false, ..CUSTOMER };
        let worst = Customer { is_banned: true, is_registered: false, is_authorized: false, ..CUSTOMER };
        for (policy, customer, expected) in [
            (STRICT, None, &["E002", "E007"][..]),
            (SignInConfig { unknown_email: UnknownEmail::Create, ..STRICT }, None, &["E007"]),
            (LENIENT, Some(guest), &[]),
            (STRICT, Some(guest), &["E003"]),
            (LENIENT, Some(waiting), &["E007"]),
            (LENIENT, Some(worst), &["E005", "E007"]),
            (STRICT, Some(worst), &["E005", "E003", "E007"]),
        ] {
            assert_eq!(standing(&policy, customer), expected, "{policy:?} {customer:?}");
            let first = first_refusal(&policy, customer.as_ref()).map(Refusal::code);
            assert_eq!(first, expected.first().copied(), "{policy:?} {customer:?}");
        }
    }

    #[test]
    fn only_who_has_to_be_authorized_is_made_despite_a_refusal() {
        let made: Vec<_> = Refusal::ALL.into_iter().filter(|refusal| makes_customer_despite(*refusal)).collect();
        assert_eq!(made, [Refusal::NotAuthorized]);
    }
}
