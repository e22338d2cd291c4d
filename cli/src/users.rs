//! `granary admin user` and `granary admin policy`.

use crate::admin::{delete, encode, get, print_json, send};
use crate::args::{Connection, GivenKey, PolicyCommand, UserCommand, UserKeyCommand};
use anyhow::{Context, bail};
use granary_protocol::admin::{
    AttachmentQuestion, DoneAnswer, PoliciesAnswer, PolicyQuestion, StateQuestion, UserAnswer, UserKeyAnswer,
    UserQuestion, UsersAnswer,
};
use hyper::Method;

/// Users and their keys.
pub async fn user(connection: &Connection, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add { name, key: GivenKey { access_key, secret_key } } => {
            let question = UserQuestion { name, access_key, secret_key };
            let answer: UserKeyAnswer = send(connection, Method::POST, "users", &question).await?;
            print_user(&answer.user);
            print_key(&answer);
            Ok(())
        }
        UserCommand::List { json } => list_users(connection, json).await,
        UserCommand::Show { name, json } => {
            let (body, answer): (_, UsersAnswer) = get(connection, &format!("users?name={}", encode(&name))).await?;
            if json {
                return print_json(&body);
            }
            answer.users.iter().for_each(print_user);
            Ok(())
        }
        UserCommand::Disable { name } => set_state(connection, name, None, true).await,
        UserCommand::Enable { name } => set_state(connection, name, None, false).await,
        UserCommand::Remove { name } => delete(connection, &format!("users?name={}", encode(&name))).await,
        UserCommand::Key(command) => user_key(connection, command).await,
    }
}

async fn user_key(connection: &Connection, command: UserKeyCommand) -> anyhow::Result<()> {
    match command {
        UserKeyCommand::Add { user, key: GivenKey { access_key, secret_key } } => {
            let question = UserQuestion { name: user, access_key, secret_key };
            let answer: UserKeyAnswer = send(connection, Method::POST, "keys", &question).await?;
            print_key(&answer);
            Ok(())
        }
        UserKeyCommand::Disable { user, access_key } => set_state(connection, user, Some(access_key), true).await,
        UserKeyCommand::Enable { user, access_key } => set_state(connection, user, Some(access_key), false).await,
        UserKeyCommand::Remove { user, access_key } => {
            delete(connection, &format!("keys?user={}&access_key={}", encode(&user), encode(&access_key))).await
        }
    }
}

async fn set_state(
    connection: &Connection,
    user: String,
    access_key: Option<String>,
    disabled: bool,
) -> anyhow::Result<()> {
    let path = if access_key.is_some() { "keys/state" } else { "users/state" };
    let _done: DoneAnswer = send(connection, Method::POST, path, &StateQuestion { user, access_key, disabled }).await?;
    Ok(())
}

async fn list_users(connection: &Connection, json: bool) -> anyhow::Result<()> {
    let mut users: Vec<UserAnswer> = Vec::new();
    loop {
        let after = users.last().map(|user| format!("?after={}", encode(&user.name))).unwrap_or_default();
        let (_, page): (_, UsersAnswer) = get(connection, &format!("users{after}")).await?;
        let is_last = !page.truncated || page.users.is_empty();
        users.extend(page.users);
        if is_last {
            break;
        }
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&users)?);
        return Ok(());
    }
    println!("{:<24} {:<14} {:<9} {:>4}  policies", "user", "account", "state", "keys");
    for user in &users {
        let state = if user.disabled { "disabled" } else { "enabled" };
        let policies = user.policies.join(", ");
        println!("{:<24} {:<14} {state:<9} {:>4}  {policies}", user.name, user.account_id, user.keys.len());
    }
    Ok(())
}

fn print_user(user: &UserAnswer) {
    println!("user         {}{}", user.name, if user.disabled { " (disabled)" } else { "" });
    println!("arn          {}", user.arn);
    println!("account      {}", user.account_id);
    println!("canonical id {}", user.canonical_id);
    for policy in &user.policies {
        println!("policy       {policy}");
    }
    for key in &user.keys {
        println!("key          {}{}", key.access_key, if key.disabled { " (disabled)" } else { "" });
    }
}

fn print_key(answer: &UserKeyAnswer) {
    println!("access key   {}", answer.access_key);
    println!("secret key   {}", answer.secret_key);
    eprintln!("The secret key is not shown again.");
}

/// Named policies and to whom they are attached.
pub async fn policy(connection: &Connection, command: PolicyCommand) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Put { name, file } => {
            let document = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let question = PolicyQuestion { name, document };
            let _done: DoneAnswer = send(connection, Method::PUT, "policies", &question).await?;
            Ok(())
        }
        PolicyCommand::List { json } => list_policies(connection, json).await,
        PolicyCommand::Show { name } => {
            let policies = all_policies(connection).await?;
            let Some(policy) = policies.iter().find(|policy| policy.name == name) else {
                bail!("there is no policy {name:?}");
            };
            println!("{}", policy.document);
            Ok(())
        }
        PolicyCommand::Remove { name } => delete(connection, &format!("policies?name={}", encode(&name))).await,
        PolicyCommand::Attach { name, user } => attach(connection, name, user, true).await,
        PolicyCommand::Detach { name, user } => attach(connection, name, user, false).await,
    }
}

async fn attach(connection: &Connection, policy: String, user: String, attached: bool) -> anyhow::Result<()> {
    let question = AttachmentQuestion { user, policy, attached };
    let _done: DoneAnswer = send(connection, Method::POST, "policies/attachments", &question).await?;
    Ok(())
}

async fn list_policies(connection: &Connection, json: bool) -> anyhow::Result<()> {
    let policies = all_policies(connection).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&policies)?);
        return Ok(());
    }
    for policy in &policies {
        println!("{}", policy.name);
    }
    Ok(())
}

async fn all_policies(connection: &Connection) -> anyhow::Result<Vec<PolicyQuestion>> {
    let mut policies: Vec<PolicyQuestion> = Vec::new();
    loop {
        let after = policies.last().map(|policy| format!("?after={}", encode(&policy.name))).unwrap_or_default();
        let (_, page): (_, PoliciesAnswer) = get(connection, &format!("policies{after}")).await?;
        let is_last = !page.truncated || page.policies.is_empty();
        policies.extend(page.policies);
        if is_last {
            return Ok(policies);
        }
    }
}
