//! Requests about users, their keys and policies, and the secrets of the cluster that doors need, as methods.

use crate::client::Client;
use crate::metadata::{expect_done, reply};
use granary_protocol::namenode::*;
use granary_protocol::user::{EncryptionKey, KeyHolder, NamedPolicy, SecretKey, TokenKey, User};
use granary_protocol::*;

impl Client {
    /// [`NamenodeRequest::AddUser`].
    pub async fn add_user(&self, user: NewUser, key: Option<(String, SecretKey)>) -> Result<User, Failure> {
        reply!(self.call(NamenodeRequest::AddUser { user, key }).await?, NamenodeReply::User(user) => *user)
    }

    /// [`NamenodeRequest::GetUser`].
    pub async fn get_user(&self, name: String) -> Result<User, Failure> {
        reply!(self.call(NamenodeRequest::GetUser { name }).await?, NamenodeReply::User(user) => *user)
    }

    /// [`NamenodeRequest::ListUsers`]; whether there are more comes second.
    pub async fn list_users(&self, after: Option<String>, limit: u32) -> Result<(Vec<User>, bool), Failure> {
        let reply = self.call(NamenodeRequest::ListUsers { after, limit }).await?;
        reply!(reply, NamenodeReply::Users { users, truncated } => (users, truncated))
    }

    /// [`NamenodeRequest::RemoveUser`].
    pub async fn remove_user(&self, name: String) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::RemoveUser { name }).await?)
    }

    /// [`NamenodeRequest::SetUserDisabled`].
    pub async fn set_user_disabled(&self, name: String, disabled: bool) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::SetUserDisabled { name, disabled }).await?)
    }

    /// [`NamenodeRequest::AddAccessKey`].
    pub async fn add_access_key(&self, user: String, access_key: String, secret_key: SecretKey) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::AddAccessKey { user, access_key, secret_key }).await?)
    }

    /// [`NamenodeRequest::SetAccessKeyDisabled`].
    pub async fn set_access_key_disabled(
        &self,
        user: String,
        access_key: String,
        disabled: bool,
    ) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::SetAccessKeyDisabled { user, access_key, disabled }).await?)
    }

    /// [`NamenodeRequest::RemoveAccessKey`].
    pub async fn remove_access_key(&self, user: String, access_key: String) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::RemoveAccessKey { user, access_key }).await?)
    }

    /// [`NamenodeRequest::FindAccessKey`].
    pub async fn find_access_key(&self, access_key: String) -> Result<Option<KeyHolder>, Failure> {
        let reply = self.call(NamenodeRequest::FindAccessKey { access_key }).await?;
        reply!(reply, NamenodeReply::KeyHolder(holder) => holder.map(|holder| *holder))
    }

    /// [`NamenodeRequest::FindOwners`]: canonical id, account id and display name of those that are known.
    pub async fn find_owners(&self, owners: Vec<CanonicalId>) -> Result<Vec<(CanonicalId, String, String)>, Failure> {
        reply!(self.call(NamenodeRequest::FindOwners { owners }).await?, NamenodeReply::Owners(found) => found)
    }

    /// [`NamenodeRequest::PutPolicy`].
    pub async fn put_policy(&self, name: String, document: String) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::PutPolicy { name, document }).await?)
    }

    /// [`NamenodeRequest::ListPolicies`]; whether there are more comes second.
    pub async fn list_policies(&self, after: Option<String>, limit: u32) -> Result<(Vec<NamedPolicy>, bool), Failure> {
        let reply = self.call(NamenodeRequest::ListPolicies { after, limit }).await?;
        reply!(reply, NamenodeReply::Policies { policies, truncated } => (policies, truncated))
    }

    /// [`NamenodeRequest::RemovePolicy`].
    pub async fn remove_policy(&self, name: String) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::RemovePolicy { name }).await?)
    }

    /// [`NamenodeRequest::AttachPolicy`].
    pub async fn attach_policy(&self, user: String, policy: String, attached: bool) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::AttachPolicy { user, policy, attached }).await?)
    }

    /// [`NamenodeRequest::GetTokenKey`].
    pub async fn get_token_key(&self) -> Result<TokenKey, Failure> {
        reply!(self.call(NamenodeRequest::GetTokenKey).await?, NamenodeReply::TokenKey(key) => key)
    }

    /// [`NamenodeRequest::AddEncryptionKey`].
    pub async fn add_encryption_key(&self, key_id: String, wrapped: Vec<u8>) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::AddEncryptionKey { key_id, wrapped }).await?)
    }

    /// [`NamenodeRequest::GetEncryptionKey`].
    pub async fn get_encryption_key(&self, key_id: String) -> Result<Option<EncryptionKey>, Failure> {
        let reply = self.call(NamenodeRequest::GetEncryptionKey { key_id }).await?;
        reply!(reply, NamenodeReply::EncryptionKey(key) => key)
    }

    /// [`NamenodeRequest::ListEncryptionKeys`]; whether there are more comes second.
    pub async fn list_encryption_keys(
        &self,
        after: Option<String>,
        limit: u32,
    ) -> Result<(Vec<EncryptionKey>, bool), Failure> {
        let reply = self.call(NamenodeRequest::ListEncryptionKeys { after, limit }).await?;
        reply!(reply, NamenodeReply::EncryptionKeys { keys, truncated } => (keys, truncated))
    }

    /// [`NamenodeRequest::SetEncryptionKeyDisabled`].
    pub async fn set_encryption_key_disabled(&self, key_id: String, disabled: bool) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::SetEncryptionKeyDisabled { key_id, disabled }).await?)
    }
}
