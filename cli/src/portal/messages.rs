//! What users are told, by the code of the API's answer.
//!
//! A code says who can act, and the message says how. Why it was refused is the operators' to see, by the request id.

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    /// What happened, in a few words.
    pub(super) title: &'static str,
    /// What the user can do.
    pub(super) text: &'static str,
}

/// For whatever is the portal's or the broker's own fault.
const FAILED: Message = Message {
    title: "Something went wrong",
    text: "You have done nothing wrong, and trying again will not help. Give the request id to the support team.",
};

/// The message of a code.
pub(super) fn of(code: &str) -> Message {
    match code {
        "invalid-token" => ENDED,
        "not-entitled" => Message {
            title: "You may not open this",
            text: "It is not open to you now. If you need it for your work, ask the people who grant access, and give them the request id.",
        },
        "not-private" => Message {
            title: "Open this from the company network",
            text: "The service answers inside the private network only. Connect to it, and try again.",
        },
        "target-not-compliant" => Message {
            title: "This does not meet the rules",
            text: "It is not set up as the organisation requires, so it stays closed. Its owner has to change that. Give them the request id.",
        },
        "target-not-ready" => Message {
            title: "This is not ready",
            text: "It is there, but it cannot be opened in the state that it is in. It may have to be started first.",
        },
        "rate-limited" => Message {
            title: "Too many links in a short time",
            text: "You have opened as much as is allowed for now. What is open stays open. Wait a little, and try again.",
        },
        "unavailable" => Message {
            title: "The service cannot answer now",
            text: "This passes by itself most of the time. Try again in a moment. If it stays, give the request id to the support team.",
        },
        // invalid-request, not-found, method-not-allowed, too-large, unsupported-media-type: what the portal has asked; internal.
        _ => FAILED,
    }
}

/// The message of a code, where the list of the user's targets is refused.
pub(super) fn of_list(code: &str) -> Message {
    match code {
        "not-entitled" => Message {
            title: "Nothing is open to you now",
            text: "If you need something for your work, ask the people who grant access, and give them the request id.",
        },
        code => of(code),
    }
}

/// The user's session or token is over.
pub(super) const ENDED: Message =
    Message { title: "Your sign-in has ended", text: "Sign in again. What you have opened already stays open." };

/// A form that is not from a page of this session.
pub(super) const FOREIGN_FORM: Message = Message {
    title: "This form was not sent by the portal",
    text: "Nothing was opened. Go back to your targets and try again. If another page led you here, do not trust it.",
};

/// The sign-in came to nothing.
pub(super) const NOT_SIGNED_IN: Message = Message {
    title: "You are not signed in",
    text: "The sign-in was not begun in this browser, took too long, or was used already. Begin again.",
};

/// No such page.
pub(super) const NOT_FOUND: Message =
    Message { title: "There is nothing here", text: "The portal has one page: the list of your targets." };

/// A page that has another method.
pub(super) const WRONG_METHOD: Message =
    Message { title: "This page is not opened like this", text: "Go to your targets, and use the buttons there." };

/// The machine itself fails.
pub(super) const NO_RANDOMNESS: Message =
    Message { title: "Nobody can sign in now", text: "This machine gives no random numbers, without which no session is safe." };

#[cfg(test)]
mod tests {
    use latchkey_domain::decision::Code;

    use super::*;

    #[test]
    fn every_code_has_a_message_and_what_users_can_act_on_one_of_its_own() {
        let own: Vec<Message> = Code::ALL.iter().map(|code| of(code.as_str())).filter(|message| *message != FAILED).collect();
        assert_eq!(own.len(), 7);
        for (index, message) in own.iter().enumerate() {
            assert!(!own[..index].contains(message), "{message:?}");
            assert!(message.text.ends_with('.') && !message.title.ends_with('.'), "{message:?}");
        }
    }
}
